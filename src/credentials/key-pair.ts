import { createPrivateKey, createPublicKey } from "node:crypto";

/** What is wrong with a `JWT_PRIVATE_KEY` and a `JWKS` as an app with Convex Auth uses them (contract 4.4, 8.4). */
export type KeyPairDefect = "key-unreadable" | "jwks-unreadable" | "mismatch" | "ambiguous";

/** Undefined when the public part of the key is in the set and no token can be taken for another key's. */
export function keyPairDefect(jwtPrivateKey: string, jwks: string): KeyPairDefect | undefined {
  const own = publicPart(jwtPrivateKey);
  if (own === undefined) return "key-unreadable";
  const keys = keysOf(jwks);
  if (keys === undefined) return "jwks-unreadable";
  if (!keys.some((key) => (key["n"] ?? key["x"]) === own)) return "mismatch";
  // Convex Auth's tokens name no key, so a second one makes the backend refuse them all (contract 8.4).
  return keys.length > 1 && keys.some((key) => key["kid"] === undefined) ? "ambiguous" : undefined;
}

/** Convex Auth's importer takes line breaks and blanks alike; so does this. */
function publicPart(text: string): string | undefined {
  const match = /-----BEGIN PRIVATE KEY-----([\s\S]*?)-----END PRIVATE KEY-----/.exec(text);
  const der = Buffer.from((match?.[1] ?? "").replace(/\s+/g, ""), "base64");
  try {
    const key = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
    const { n, x } = key.export({ format: "jwk" });
    return n ?? x;
  } catch {
    return undefined;
  }
}

function keysOf(text: string): Readonly<Record<string, unknown>>[] | undefined {
  try {
    const document: unknown = JSON.parse(text);
    if (typeof document !== "object" || document === null || !("keys" in document)) return undefined;
    const { keys } = document;
    if (!Array.isArray(keys)) return undefined;
    return keys.filter((key): key is Record<string, unknown> => typeof key === "object" && key !== null);
  } catch {
    return undefined;
  }
}
