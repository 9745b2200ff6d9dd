import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ZipWriter } from "../standin/snapshots/zip-writer.ts";

export type Entries = readonly (readonly [name: string, content: string | Uint8Array])[];

export const UNIFORM = '"uniform"\n';
const HELLO = "kg2000000400000028t00000018jrs0k";
const WORLD = "kg2000000800000028t00000018jrs90";

export function storageLine(fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    _id: HELLO,
    _creationTime: 1795400000030.5,
    sha256: "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    size: 5,
    contentType: "text/plain",
    internalId: "11111111-1111-4111-8111-111111111111",
    ...fields,
  });
}

export const WORLD_LINE = storageLine({
  _id: WORLD,
  sha256: "cR6WCTOekrA93AohGCfbpCHzj57YudgG4f/djBX/oD0=",
  size: 6,
  internalId: "22222222-2222-4222-8222-222222222222",
});
export const HELLO_ENTRY = `_storage/${HELLO}.txt`;
export const WORLD_ENTRY = `_storage/${WORLD}.txt`;

export const ANYTHING = [
  '{"_creationTime":1795400000020.5,"_id":"jd7000000400000028t00000018js9av","f":1.0,"i":1,"s":"x"}',
  '{"_creationTime":1795400000021.5,"_id":"jd7000000800000028t00000018js9k8","bytes":{"$bytes":"AAH+/w=="},"f":2.5,"i":9007199254740993,"nan":{"$float":"AAAAAAAA+H8="}}',
];

export const MESSAGES = [
  '{"_creationTime":1795400000001.5,"_id":"j57000000400000028t00000018js8sq","author":"a1","body":"b1","likes":1.0}',
  '{"_creationTime":1795400000002.5,"_id":"j57000000800000028t00000018js924","author":"a2","body":"b2","likes":2.0}',
  '{"_creationTime":1795400000003.5,"_id":"j57000000c00000028t00000018js9ah","author":"a3","body":"b3","likes":3.0}',
];

export function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/** The snapshot that the contract's recordings of damaged ones start from. */
export const BASE: Entries = [
  ["README.md", "# Welcome to your Convex snapshot export!\n"],
  [
    "_tables/documents.jsonl",
    '{"name":"messages","id":10001}\n{"name":"refs","id":10002}\n{"name":"anything","id":10003}\n',
  ],
  [
    "refs/documents.jsonl",
    '{"_creationTime":1795400000010.5,"_id":"j97000000400000028t00000018js929","m":"j57000000400000028t00000018js8sq"}\n',
  ],
  ["refs/generated_schema.jsonl", UNIFORM],
  ["anything/documents.jsonl", linesOf(ANYTHING)],
  ["anything/generated_schema.jsonl", UNIFORM],
  ["messages/documents.jsonl", linesOf(MESSAGES)],
  ["messages/generated_schema.jsonl", UNIFORM],
  ["_storage/documents.jsonl", linesOf([storageLine(), WORLD_LINE])],
  [HELLO_ENTRY, "hello"],
  [WORLD_ENTRY, "world!"],
];

/** Without the entries of these names. */
export function without(entries: Entries, ...names: readonly string[]): Entries {
  return entries.filter(([name]) => !names.includes(name));
}

/** With another content of one entry. */
export function changed(entries: Entries, wanted: string, content: string | Uint8Array): Entries {
  return entries.map(([name, old]) => [name, name === wanted ? content : old]);
}

/** With other names. */
export function renamed(entries: Entries, rename: (name: string) => string): Entries {
  return entries.map(([name, content]) => [rename(name), content]);
}

/** Writes a ZIP in the form of the backend's. */
export async function writeZip(path: string, entries: Entries): Promise<string> {
  const zip = await ZipWriter.create(path);
  for (const [name, content] of entries) await zip.add(name, content);
  await zip.finish();
  return path;
}

/** A directory for a test that goes away with it. */
export async function scratch(): Promise<{ path: (name: string) => string; [Symbol.asyncDispose](): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "snapshot-"));
  return {
    path: (name) => join(folder, name),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
