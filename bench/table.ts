/** One line of the table; times in milliseconds. */
export interface Row {
  readonly what: string;
  /** What it is measured against. */
  readonly beside?: readonly [string, number];
  readonly ours: number;
  /** `over`: milliseconds more than it; `times` and `plus`: that many times as much and some; `faster`: times faster; `most`: absolute. */
  readonly limit: { over: number } | { times: number; plus?: number } | { faster: number } | { most: number };
}

function milliseconds(value: number): string {
  return `${Math.round(value).toLocaleString("en")} ms`;
}

function judge({ beside, ours, limit }: Row): { difference: string; allowed: string; holds: boolean } {
  const other = beside?.[1] ?? Number.NaN;
  if ("over" in limit) {
    const over = ours - other;
    return { difference: `+${milliseconds(over)}`, allowed: `+${limit.over} ms`, holds: over <= limit.over };
  }
  if ("faster" in limit) {
    const faster = other / ours;
    return {
      difference: `${faster.toFixed(1)} × faster`,
      allowed: `${limit.faster} × faster`,
      holds: faster >= limit.faster,
    };
  }
  if ("times" in limit) {
    const plus = limit.plus ?? 0;
    const allowed = `${limit.times} ×${plus === 0 ? "" : ` + ${plus} ms`}`;
    return { difference: `${(ours / other).toFixed(2)} ×`, allowed, holds: ours <= limit.times * other + plus };
  }
  return { difference: "", allowed: milliseconds(limit.most), holds: ours <= limit.most };
}

/** Rows that were not measured this time are left out. */
export function table(rows: readonly Row[]): string {
  const measured = rows.filter(({ beside, ours }) => !Number.isNaN(ours + (beside?.[1] ?? 0)));
  const lines = measured.map((row) => {
    const { difference, allowed, holds } = judge(row);
    const beside = row.beside === undefined ? "" : `${row.beside[0]}: ${milliseconds(row.beside[1])}`;
    return `| ${row.what} | ${beside} | ${milliseconds(row.ours)} | ${difference} | ${allowed} | ${holds ? "✅" : "❌"} |`;
  });
  return ["| What | Beside | This action | Difference | Allowed | |", "|---|---|---:|---:|---:|---|", ...lines].join(
    "\n",
  );
}
