const NOT_SHOWN = "(not shown; show-documents: true shows it)";

/**
 * Takes documents out of error texts of the backend, line by line: `Object: {…}` and `Value: …` of a validation error,
 * with the lines that belong to them, up to `Validator:`, `Path:` or a stack (contract 5.2, 6.2, 7.3).
 */
export class DocumentFilter {
  #inside = false;

  /** The line as it may be shown; undefined when it is left out. */
  line(text: string): string | undefined {
    const start = /^(.*?)\b(Object|Value): /.exec(text);
    const label = start !== null && /^(✖ |Error: )?$/.test(start[1] ?? "") ? start[2] : undefined;
    if (label !== undefined) {
      this.#inside = true;
      return `${label}: ${NOT_SHOWN}`;
    }
    if (this.#inside && !/^(Validator|Path): |^\s+at |^[✖✔]/.test(text)) return undefined;
    this.#inside = false;
    return text.replace(/Document\(value: \{.*\}\)/, `Document ${NOT_SHOWN}`);
  }
}

/** The same for a whole text. */
export function withoutDocuments(text: string): string {
  const filter = new DocumentFilter();
  return text
    .split("\n")
    .flatMap((line) => filter.line(line) ?? [])
    .join("\n");
}
