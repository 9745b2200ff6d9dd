import { setSecret } from "@actions/core";

/** Below this length a mask would spoil ordinary log text, so nothing shorter is masked. */
export const SHORTEST_MASK = 8;

/**
 * A secret and the forms in which it may turn up in output: each line (of a PEM without its frame, which is public),
 * JSON-escaped, base64 and URL-encoded. Forms shorter than eight characters are left out.
 */
export function maskedForms(secret: string): string[] {
  if (secret.trim().length < SHORTEST_MASK) return [];
  const lines = secret
    .split(/\r\n|[\r\n]/)
    .map((line) => line.trim())
    .filter((line) => !/^-----(BEGIN|END) [A-Z0-9 ]+-----$/.test(line));
  // A PEM on one line, as Convex Auth stores it (contract 4.4): its words are the lines of the key.
  const words = /-----BEGIN [A-Z0-9 ]+-----/.test(secret)
    ? secret.replace(/-----[A-Z0-9 ]+-----/g, " ").split(/\s+/)
    : [];
  const whole = [secret, secret.trim()];
  const forms = [
    ...whole,
    ...lines,
    ...words,
    JSON.stringify(secret).slice(1, -1),
    JSON.stringify(JSON.stringify(secret).slice(1, -1)).slice(1, -1),
    Buffer.from(secret).toString("base64"),
    Buffer.from(secret).toString("base64url"),
    encodeURIComponent(secret),
    ...lines.flatMap((line) => [Buffer.from(line).toString("base64"), encodeURIComponent(line)]),
  ];
  return [...new Set(forms)].filter((form) => form.length >= SHORTEST_MASK);
}

// What was masked in this process, so that texts which do not pass through the runner's log can be cleaned too.
const known = new Set<string>();

/** Masks a secret in everything that the job prints from now on, later steps included. */
export function mask(secret: string): void {
  for (const form of maskedForms(secret)) {
    if (known.has(form)) continue;
    known.add(form);
    setSecret(form);
  }
}

/** Replaces every masked form in a text that leaves by another way than the log: summary, comment, file. */
export function redactKnown(text: string): string {
  let clean = text;
  for (const form of [...known].sort((a, b) => b.length - a.length)) {
    if (clean.includes(form)) clean = clean.replaceAll(form, "***");
  }
  return clean;
}
