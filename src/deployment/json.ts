/** Anything that is no plain object reads as an empty one, so that foreign JSON is looked into without trust. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
