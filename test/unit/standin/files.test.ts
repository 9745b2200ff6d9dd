import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { filesOf } from "../../standin/files.ts";
import { readRange } from "../../standin/ranges.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { issueUploadToken, openUploadToken } from "../../standin/upload-tokens.ts";

const secret = "01".repeat(32);
const other = "02".repeat(32);

describe("upload tokens (contract 8.2)", () => {
  const now = 1_795_400_000_000;
  const refusal = (token: string, at = now) => {
    try {
      return openUploadToken(token, "lab", secret, at);
    } catch (error) {
      return error;
    }
  };

  it("are what the backend issues", () => {
    // a token of a real backend (files.json), made 2026-11-23 for the instance "lab"
    const real = "013f178e16272d52df2fe7f6a31cb3e3f30c998d07cdad57bc7847d6c78749a645fdd0bed78fc4845f31";
    expect(refusal(real, 1_795_427_208_000)).toBe("");
    expect(refusal(real, 1_795_427_208_000 + 3_700_000)).toMatchObject({ status: 401, code: "StorageTokenExpired" });
  });

  it("carry the component", () => {
    expect(refusal(issueUploadToken("lab", secret, "widget/inner", now))).toBe("widget/inner");
  });

  it("are refused when garbage, of another secret or of another instance", () => {
    for (const token of ["", "abc", "00".repeat(42), issueUploadToken("lab", other, "", now)]) {
      expect(refusal(token)).toMatchObject({ status: 401, code: "StorageTokenInvalid" });
    }
    expect(refusal(issueUploadToken("other", secret, "", now))).toMatchObject({ code: "InvalidStorageToken" });
  });
});

describe("ranges of a file of 5 bytes, as M14 answers them (contract 8.2)", () => {
  it.each([
    ["bytes=0-1", "bytes 0-1/5", 0, 2],
    ["bytes=1-", "bytes 1-4/5", 1, 5],
    ["bytes=0-99", "bytes 0-99/5", 0, 5],
    ["bytes=5-", "bytes 5-4/5", 5, 5],
    ["bytes=99-", "bytes 99-4/5", 5, 5],
    ["bytes=-2", "bytes 18446744073709551613-4/5", 0, 0],
    ["bytes=-99", "bytes 18446744073709551516-4/5", 0, 0],
  ])("%s", (header, contentRange, from, to) => {
    expect(readRange(header, 5)).toEqual({ kind: "part", contentRange, from, to });
  });

  it.each(["bytes=", "bytes=a-b", "bytes=0-1,3-4", "bytes=3-1", "bytes=0-99999999999999999999"])(
    "%s is 416",
    (header) => {
      expect(readRange(header, 5)).toEqual({ kind: "refused" });
    },
  );

  it("takes other units, and any range of an empty file, for the whole", () => {
    expect(readRange("lines=0-1", 5)).toEqual({ kind: "whole" });
    expect(readRange("bytes=0-1", 0)).toEqual({ kind: "whole" });
    expect(readRange(undefined, 5)).toEqual({ kind: "whole" });
  });
});

describe("files (contract 8.2)", () => {
  let standin: Standin;
  beforeAll(async () => {
    standin = await startStandin();
  });
  afterAll(() => standin.stop());

  it("are uploaded, served, listed without their inner fields, and gone at once when deleted", async () => {
    const files = filesOf(standin.backend);
    const { store } = standin.backend;
    const url = store.read((tx) => files.uploadUrl(tx, ""));
    expect(url.startsWith(`${standin.url}/api/storage/upload?token=01`)).toBe(true);
    const upload = await fetch(url, { method: "POST", body: "hello", headers: { "content-type": "text/plain" } });
    const { storageId } = (await upload.json()) as { storageId: string };
    const served = store.read((tx) => files.url(tx, "", storageId)) ?? "";
    const answer = await fetch(served);
    expect([answer.status, await answer.text(), answer.headers.get("digest")]).toEqual([
      200,
      "hello",
      "sha-256=LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    ]);
    const shown = store.read((tx) => files.metadata(tx, "", storageId));
    expect(Object.keys(shown ?? {}).sort()).toEqual(["_creationTime", "_id", "contentType", "sha256", "size"]);
    await store.write((tx) => files.remove(tx, "", storageId));
    expect((await fetch(served)).status).toBe(404);
    expect(store.read((tx) => files.url(tx, "", storageId))).toBeNull();
    await expect(store.write((tx) => files.remove(tx, "", storageId))).rejects.toThrow(
      `Uncaught Error: storage id ${storageId} not found`,
    );
  });

  it("of a component have URLs of their own", async () => {
    const files = filesOf(standin.backend);
    const { store } = standin.backend;
    await store.write((tx) => tx.insert("", "_components", { path: "widget", state: "active" }));
    const id = await files.store("widget", Buffer.from("in component"), null);
    const url = store.read((tx) => files.url(tx, "widget", id)) ?? "";
    expect(url).toContain("?component=m0");
    const answer = await fetch(url);
    expect([await answer.text(), answer.headers.get("content-type")]).toEqual(["in component", null]);
    expect((await fetch(url.replace(/component=.*/, "component="))).status).toBe(500);
    expect((await fetch(url.replace(/\?.*/, ""))).status).toBe(404);
  });
});
