import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readEnvFiles } from "../../../src/deployment/env-files.ts";
import { directoryWith } from "./support.ts";

describe("readEnvFiles", () => {
  it("reads files of the workspace in their order", async () => {
    await using workspace = await directoryWith({ "a.env": "A=1", "deploy/b.env": "B=2" });
    const files = await readEnvFiles(["deploy/b.env", "a.env"], workspace.path);
    expect(files.map(({ path, text }) => [path, text])).toEqual([
      ["deploy/b.env", "B=2"],
      ["a.env", "A=1"],
    ]);
  });
  it.each(["missing.env", "folder"])("says that %s cannot be read", async (path) => {
    await using workspace = await directoryWith({ "folder/x": "" });
    await expect(readEnvFiles([path], workspace.path)).rejects.toMatchObject({
      code: "env-file-unreadable",
      message: expect.stringContaining(path),
    });
  });
  it("takes no file that would arrive as other bytes than it has", async () => {
    await using workspace = await directoryWith({});
    await writeFile(join(workspace.path, "latin.env"), Buffer.from("A=\xff\xfe", "latin1"));
    await expect(readEnvFiles(["latin.env"], workspace.path)).rejects.toMatchObject({
      code: "env-file-unreadable",
      hint: "Save it as UTF-8.",
    });
  });
});
