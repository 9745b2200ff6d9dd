/** Every form in which a secret may turn up in a text, each eight characters or longer. */
export function forms(secret: string): string[] {
  const lines = secret.split(/\r?\n/).filter((line) => !line.startsWith("-----"));
  const encoded = [secret, ...lines].flatMap((text) => [
    text,
    JSON.stringify(text).slice(1, -1),
    encodeURIComponent(text),
    Buffer.from(text).toString("base64").replace(/=+$/, ""),
    Buffer.from(text).toString("base64url"),
    Buffer.from(text).toString("hex"),
  ]);
  return [...new Set(encoded)].filter((form) => form.length >= 8);
}

/** Where one of the secrets shows, as `<place>: <its name> as …<40 characters around it>…`. Empty: nowhere. */
export function leaks(secrets: Readonly<Record<string, string>>, places: Readonly<Record<string, string>>): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) =>
    Object.entries(places).flatMap(([place, text]) =>
      forms(secret).flatMap((form) => {
        const at = text.indexOf(form);
        return at < 0 ? [] : [`${place}: ${name} in "${text.slice(Math.max(0, at - 40), at + form.length + 20)}"`];
      }),
    ),
  );
}
