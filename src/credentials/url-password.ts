/**
 * The passwords in a URL, as written and as meant: what comes before the last `@` of the authority, as both Postgres and the
 * backend read it (a password with a raw `/` or `?` in it ends there only where no `@` follows), and the parameter
 * `password`. It is a secret by itself, since errors of others show it without the rest.
 */
export function passwordsOf(url: string): string[] {
  const [, rest = ""] = /^[a-z][a-z0-9+.-]*:\/\/[^:/?#]*:(.*)$/is.exec(url) ?? [];
  const [, parameter] = /[?&]password=([^&#]*)/i.exec(url) ?? [];
  const authority = /^([^/?#]*)@/.exec(rest)?.[1];
  const whole = /^(.*)@[^@]*$/s.exec(rest)?.[1];
  const found = [authority, whole, parameter].filter((one) => one !== undefined && one !== "");
  return [...new Set(found.flatMap((one) => [one as string, decoded(one as string)]))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a % that begins no code
  }
}
