/** One state of the database as a ZIP (contract 7.2): order of entries, texts of lines, extensions. */
import { componentPaths, inComponent, zipPrefix } from "../components.ts";
import type { Blobs, Document, ReadTransaction, TableInfo } from "../types.ts";
import { encode, floatText } from "../values.ts";
import { type OldTable, oldTable } from "./old-export.ts";
import { README } from "./readme.ts";
import type { ZipWriter } from "./zip-writer.ts";

const UNIFORM = '"uniform"\n';

/** Guessed from the type without its parameters; others have none. */
const EXTENSIONS: Record<string, string> = {
  "text/plain": ".txt",
  "text/html": ".html",
  "text/css": ".css",
  "text/csv": ".csv",
  "text/javascript": ".js",
  "image/png": ".png",
  "image/jpeg": ".jpg",
  "image/gif": ".gif",
  "image/svg+xml": ".svg",
  "image/webp": ".webp",
  "audio/mpeg": ".mp3",
  "video/mp4": ".mp4",
  "application/json": ".json",
  "application/pdf": ".pdf",
  "application/zip": ".zip",
  "application/octet-stream": ".bin",
};

export interface ExportSource {
  readonly tx: ReadTransaction;
  readonly blobs: Blobs;
  readonly includeStorage: boolean;
  /** Values and shapes as the first releases wrote them. */
  readonly oldEncoding: boolean;
  /** Told before each part what is being backed up; may throw to stop. */
  readonly progress: (message: string) => Promise<void>;
}

/** A file of the storage whose blob is gone: the export cannot succeed until it is back (contract 7.1). */
export class LostFile extends Error {}

/** Writes everything but the end. */
export async function writeExport(zip: ZipWriter, source: ExportSource): Promise<void> {
  const { tx, progress } = source;
  const components = componentPaths(tx);
  await zip.add("README.md", README);
  for (const component of components) {
    await progress(`Backing up _tables${inComponent(component)}`);
    const lines = tx
      .userTables(component)
      .map(({ name, number }) => `{"name":${JSON.stringify(name)},"id":${number}}\n`);
    await zip.add(`${zipPrefix(component)}_tables/documents.jsonl`, lines.join(""));
  }
  for (const { info, documents, schema } of tablesBySize(source, components)) {
    await progress(`Backing up ${info.name}${inComponent(info.component)}`);
    const folder = `${zipPrefix(info.component)}${info.name}`;
    await zip.add(`${folder}/documents.jsonl`, documents);
    await zip.add(`${folder}/generated_schema.jsonl`, schema);
  }
  if (!source.includeStorage) return;
  for (const component of components) {
    await progress(`Backing up _storage${inComponent(component)}`);
    await writeFiles(zip, source, component);
  }
}

function byId(a: Document, b: Document): number {
  return a._id < b._id ? -1 : 1;
}

/** User tables of all components, from small to large. */
function tablesBySize({ tx, oldEncoding }: ExportSource, components: string[]): (OldTable & { info: TableInfo })[] {
  const tables = components.flatMap((component) => tx.userTables(component));
  return tables
    .map((info) => {
      const documents = [...tx.scanTablet(info.tablet)].sort(byId);
      if (oldEncoding) return { info, ...oldTable(documents) };
      const lines = documents.map((document) => `${encode(document, "export_json")}\n`);
      return { info, documents: lines.join(""), schema: UNIFORM };
    })
    .sort((a, b) => a.documents.length - b.documents.length);
}

async function writeFiles(zip: ZipWriter, { tx, blobs }: ExportSource, component: string): Promise<void> {
  const files = [...tx.scan(component, "_storage")].sort(byId);
  const folder = `${zipPrefix(component)}_storage`;
  await zip.add(`${folder}/documents.jsonl`, files.map(fileLine).join(""));
  for (const file of files) {
    const bytes = await blobs.get("files", String(file["storageKey"]));
    if (bytes === undefined)
      throw new LostFile(`file missing from storage: ${file._id} with key ObjectKey("${file["storageKey"]}")`);
    await zip.add(`${folder}/${file._id}${extensionOf(file["contentType"])}`, bytes);
  }
}

/** Keys in their own order, the size an integer. */
function fileLine(file: Document): string {
  const parts = [
    `"_id":"${file._id}"`,
    `"_creationTime":${floatText(file._creationTime)}`,
    `"sha256":${JSON.stringify(file["sha256"])}`,
    `"size":${Math.trunc(Number(file["size"]))}`,
    `"contentType":${JSON.stringify(file["contentType"] ?? null)}`,
    `"internalId":${JSON.stringify(file["storageId"])}`,
  ];
  return `{${parts.join(",")}}\n`;
}

function extensionOf(contentType: unknown): string {
  if (typeof contentType !== "string") return "";
  return EXTENSIONS[(contentType.split(";")[0] ?? "").trim().toLowerCase()] ?? "";
}
