/**
 * The one error that users see. Its first line, `[code] what. → what to do`, is what an annotation shows, so it
 * must stand alone. Every code has a heading in docs/troubleshooting.md (a test checks it).
 * `message` and `hint` never hold a secret: they end up in logs, annotations and summaries.
 */
export class ActionError extends Error {
  readonly code: string;
  readonly hint: string;

  /**
   * @param code kebab-case, stable, a heading of docs/troubleshooting.md
   * @param message what happened and why it usually is so; full sentences
   * @param hint what to do; full sentences
   */
  constructor(code: string, message: string, hint: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ActionError";
    this.code = code;
    this.hint = hint;
  }

  /** `[code] message → hint`, the form in which it is shown. */
  get text(): string {
    return `[${this.code}] ${this.message} → ${this.hint}`;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.map(messageOf).join("; ");
  }
  return error instanceof Error ? error.message : String(error);
}

/** Node's error code (`ECONNREFUSED`) of an error or of the first cause that has one. */
export function systemCode(error: unknown): string | undefined {
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    if ("code" in e && typeof e.code === "string") return e.code;
    if (e instanceof AggregateError) {
      for (const inner of e.errors) {
        const code = systemCode(inner);
        if (code !== undefined) return code;
      }
    }
  }
  return undefined;
}
