/**
 * The password in a URL, as written and as meant: what comes before the last `@`, as both Postgres and the backend read
 * it. It is a secret by itself, since errors of others show it without the rest.
 */
export function passwordsOf(url: string): string[] {
  const password = /^[a-z][a-z0-9+.-]*:\/\/[^:/?#]*:(.*)@[^@]*$/i.exec(url)?.[1];
  if (password === undefined) return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password]; // a % that begins no code
  }
}
