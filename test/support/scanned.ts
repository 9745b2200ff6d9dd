import { type LineFacts, LineScanner, type LineSink, type ScannedLine } from "../../src/snapshot/line-scanner.ts";

/** One for all, as a snapshot has one for all its tables. */
const scanner = new LineScanner();

/** Each line as it is handed over, for lines without their line breaks. */
export function scan(lines: readonly Buffer[]): ScannedLine[] {
  const seen: ScannedLine[] = [];
  scanner.begin({ line: (line) => seen.push(line), defect: () => undefined });
  for (const line of lines) scanner.push(Buffer.concat([line, Buffer.from("\n")]));
  // what follows must not be looked at
  scanner.push(Buffer.alloc(64, '"'));
  return seen;
}

/** What the scanner says of all lines together, and each defect that it tells a sink, when the bytes come in pieces. */
export function scanPieces(pieces: readonly Buffer[]): { readonly facts: LineFacts; readonly seen: readonly string[] } {
  const seen: string[] = [];
  const sink: LineSink = {
    line: (line, number) => seen.push(`${number}: ${scanner.memory.toString("latin1", line.start, line.end)}`),
    defect: (kind, number) => seen.push(`${number}: ${kind}`),
  };
  scanner.begin(sink);
  for (const piece of pieces) scanner.push(piece);
  scanner.end();
  return { facts: scanner.facts, seen };
}

/** The table number of an id. */
export function tableNumberOf(id: string): number {
  return scanner.tableNumber(id);
}
