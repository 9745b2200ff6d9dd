import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";

const LOG = join(resolve(import.meta.dirname, "../../.."), "src/runner/log.ts");

/** What a process prints that logs so: the runner reads lines, so they are looked at as it gets them. */
function printed(code: string): string[] {
  const script = `import { jobLog } from ${JSON.stringify(LOG)};\n${code}`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] },
  });
  expect(stderr).toBe("");
  return stdout.split("\n").filter((line) => line !== "");
}

it("prints what others say between markers of a random word, where the runner obeys no commands", () => {
  const hostile = ["::error::not ours", "::add-path::/tmp/evil", "::stop-commands::resume", "::resume::"];
  const code = `jobLog.foreign(${JSON.stringify(hostile)}); jobLog.info("ours");`;
  const [first, second] = [printed(code), printed(code)];
  const word = /^::stop-commands::([0-9a-f-]{36})$/.exec(first[0] ?? "")?.[1];
  expect(first).toEqual([`::stop-commands::${word}`, ...hostile, `::${word}::`, "ours"]);
  expect(second[0]).not.toBe(first[0]);
});

it("masks known secrets in what others say, even before the runner does", () => {
  const lines = printed('jobLog.mask("open sesame 42"); jobLog.foreign(["the key is open sesame 42"]);');
  expect(lines).toContain("the key is ***");
});

it("lets no line of a message be a workflow command, whoever it quotes", () => {
  const quoted = "It is the instance a\n::add-mask::e\r  ::set-output name=x::y\n##[add-path]/tmp/evil";
  const lines = printed(`jobLog.info(${JSON.stringify(quoted)});`).flatMap((line) => line.split("\r"));
  expect(lines).toHaveLength(4);
  expect(lines.filter((line) => line.trim().startsWith("::") || line.includes("##["))).toEqual([]);
});
