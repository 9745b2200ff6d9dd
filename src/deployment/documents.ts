const NOT_SHOWN = "(not shown; show-documents: true shows it)";

/**
 * Takes documents out of a backend's error text: `Object: {…}` and `Value: …` of a validation error, which may run over
 * several lines, up to the `Validator:` line or the end (contract 5.2, 6.2, 7.3).
 */
export function withoutDocuments(text: string): string {
  return text
    .replace(
      /^(Object|Value): [\s\S]*?(?=^(?:Validator|Path|Object|Value): |^\s+at |(?![\s\S]))/gm,
      `$1: ${NOT_SHOWN}\n`,
    )
    .replace(/Document\(value: \{[\s\S]*\}\)/g, `Document ${NOT_SHOWN}`)
    .trimEnd();
}
