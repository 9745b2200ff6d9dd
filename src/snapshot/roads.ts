import { finding } from "./defects.ts";
import { prefixOf } from "./entries.ts";
import type { SnapshotFinding } from "./inspection.ts";
import type { Parts } from "./layout.ts";

/** The importer takes `<name>_storage/` for file storage (contract 7.3). */
const STORAGE_SUFFIX = "_storage";

/** What a backend cannot restore from its own export, said when the backup is made. */
export function restoreFindings(parts: Parts): SnapshotFinding[] {
  const found: SnapshotFinding[] = [];
  for (const table of parts.tables.values()) {
    if (!table.name.endsWith(STORAGE_SUFFIX)) continue;
    found.push(finding("storage-suffix-table", table.entry, suffixText(table.name, table.exactValues)));
  }
  for (const storage of parts.storage.values()) {
    if (storage.component === "" || !storage.empty) continue;
    found.push(
      finding(
        "component-storage-empty",
        `${prefixOf(storage.component)}_storage/documents.jsonl`,
        `The component ${storage.component} has no files; backends refuse the first restore of such a snapshot onto a ` +
          "fresh deployment. The restore action leaves this entry out where that is needed, and nothing is lost.",
      ),
    );
  }
  return found;
}

function suffixText(name: string, exact: boolean): string {
  const why = `The table's name ends in _storage, so the backend takes ${name}/generated_schema.jsonl for a stored file and cannot restore its own export.`;
  return exact
    ? `${why} It holds integers, bytes, NaN or infinities, which would not survive without that entry: this snapshot cannot be restored as a whole. Rename the table.`
    : `${why} The restore action leaves that entry out; the table's values survive it. Rename the table to be safe.`;
}
