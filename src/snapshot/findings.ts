import { type DefectKind, finding } from "./defects.ts";
import type { SnapshotFinding } from "./inspection.ts";

/** More of one kind are counted, not listed: a snapshot may have a million broken lines. */
const LISTED = 20;

/** Findings in the order in which they were made, bounded by kind. */
export class Findings {
  readonly #listed: SnapshotFinding[] = [];
  readonly #counts = new Map<string, number>();

  add(kind: DefectKind, where: string, detail?: string): void {
    this.push(finding(kind, where, detail));
  }

  push(found: SnapshotFinding): void {
    const count = (this.#counts.get(found.kind) ?? 0) + 1;
    this.#counts.set(found.kind, count);
    if (count <= LISTED) this.#listed.push(found);
  }

  get all(): readonly SnapshotFinding[] {
    const more = [...this.#counts].filter(([, count]) => count > LISTED);
    const rest = more.map(([kind, count]) => this.#more(kind, count - LISTED));
    return [...this.#listed, ...rest.filter((found) => found !== undefined)];
  }

  #more(kind: string, count: number): SnapshotFinding | undefined {
    const first = this.#listed.find((found) => found.kind === kind);
    return first === undefined ? undefined : { ...first, where: `${count.toLocaleString("en")} more places` };
  }
}
