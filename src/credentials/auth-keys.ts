import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { ActionError } from "../runner/errors.ts";

/** The RS256 key pair of an app with Convex Auth, in the form its variables have (contract 4.4). */
export interface AuthKeys {
  /** PKCS#8 PEM on one line, its line breaks as blanks. */
  readonly jwtPrivateKey: string;
  /** Compact JSON; its one key has neither `kid` nor `alg`, as Convex Auth's tokens name none. */
  readonly jwks: string;
  /** What was converted of a given key, to be told once. */
  readonly notice?: string;
}

const FORMS = "Give an unencrypted RSA private key of at least 2,048 bits as PEM (PKCS#8 or PKCS#1)";
const MAKE_ONE = "`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048` makes one";

function refused(code: string, message: string): ActionError {
  return new ActionError(
    code,
    `jwt-private-key ${message}`,
    `${FORMS}: ${MAKE_ONE}. Or leave the input out to get fresh keys.`,
  );
}

/** A fresh key pair. It is made in Node's thread pool (100 ms and more): start it early and await it late. */
export async function generateAuthKeys(): Promise<AuthKeys> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048, publicExponent: 0x10001 });
  return keysOf(privateKey);
}

/**
 * Takes a private key as users keep it (PKCS#8 or PKCS#1, base64 of a PEM, on one line with blanks or `\n`), and
 * derives the JWKS from it. Errors never show any part of it, and keep no cause: parsers quote their input.
 */
export async function readAuthKeys(text: string): Promise<AuthKeys> {
  const { pem, label, converted } = findPem(text);
  if (/ENCRYPTED/.test(label) || /^Proc-Type:.*ENCRYPTED/m.test(pem)) {
    throw refused("jwt-private-key-encrypted", "is encrypted with a passphrase, which the backend cannot open.");
  }
  if (/PUBLIC KEY|CERTIFICATE/.test(label)) {
    throw refused("jwt-private-key-public", `holds a ${label.toLowerCase()}, not a private key.`);
  }
  const key = openKey(pem, label);
  if (key.asymmetricKeyType !== "rsa") {
    const type = key.asymmetricKeyType ?? "other";
    throw refused("jwt-private-key-type", `is of type ${type}; Convex Auth signs with RS256, which needs RSA.`);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < 2048) throw refused("jwt-private-key-short", `has ${bits} bits; RS256 needs 2,048 at least.`);
  const keys = await keysOf(key);
  if (label === "RSA PRIVATE KEY") converted.push("from PKCS#1 to PKCS#8");
  return converted.length === 0
    ? keys
    : { ...keys, notice: `jwt-private-key was converted ${converted.join(" and ")}.` };
}

/** The variables that a key pair amounts to; `JWT_ISSUER` is for auth configs that read it instead of CONVEX_SITE_URL. */
export function authVariables(keys: AuthKeys, site: { siteOrigin: string; appUrl?: string }): Record<string, string> {
  return {
    JWT_PRIVATE_KEY: keys.jwtPrivateKey,
    JWKS: keys.jwks,
    JWT_ISSUER: site.siteOrigin,
    ...(site.appUrl === undefined ? {} : { SITE_URL: site.appUrl }),
  };
}

interface FoundPem {
  readonly pem: string;
  readonly label: string;
  readonly converted: string[];
}

function findPem(text: string): FoundPem {
  const converted: string[] = [];
  let rest = text.trim();
  if (rest === "") throw refused("jwt-private-key-unreadable", "is empty.");
  const quoted = /^(["'])([\s\S]*)\1$/.exec(rest);
  if (quoted !== null) {
    rest = (quoted[2] ?? "").trim();
    converted.push("from a quoted text");
  }
  if (!rest.includes("-----BEGIN")) {
    const decoded = /^[A-Za-z0-9+/_\-\s]+=*\s*$/.test(rest)
      ? Buffer.from(rest, "base64").toString("latin1").trim()
      : "";
    if (!decoded.startsWith("-----BEGIN")) {
      throw refused(
        "jwt-private-key-unreadable",
        "is no PEM: it has no line `-----BEGIN … KEY-----`, and is no base64 of one.",
      );
    }
    rest = decoded;
    converted.push("from base64");
  }
  if (/\\r|\\n/.test(rest)) {
    rest = rest.replace(/\\r/g, "").replace(/\\n/g, "\n");
    converted.push("from one line with \\n");
  }
  const match = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/.exec(rest);
  if (match === null)
    throw refused("jwt-private-key-unreadable", "is cut off: its END line is missing or names something else.");
  return { pem: match[0], label: match[1] ?? "", converted };
}

function openKey(pem: string, label: string): KeyObject {
  const body = pem.replace(/-----[A-Z0-9 ]+-----/g, "").replace(/\s/g, "");
  const lines = body.match(/.{1,64}/g) ?? [];
  try {
    return createPrivateKey(`-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`);
  } catch {
    throw refused(
      "jwt-private-key-unreadable",
      `is labelled ${label} but cannot be read as one: it was cut off or changed.`,
    );
  }
}

async function keysOf(privateKey: KeyObject): Promise<AuthKeys> {
  const { exportJWK } = await import("jose");
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  const { kty, n, e } = await exportJWK(createPublicKey(privateKey));
  const keys = {
    jwtPrivateKey: pem.trimEnd().replace(/\n/g, " "),
    jwks: JSON.stringify({ keys: [{ use: "sig", kty, n, e }] }),
  };
  await prove(keys);
  return keys;
}

/** Signs as Convex Auth does and verifies as the backend does, with exactly the texts that are pushed. */
async function prove(keys: AuthKeys): Promise<void> {
  const { SignJWT, createLocalJWKSet, importPKCS8, jwtVerify } = await import("jose");
  try {
    const key = await importPKCS8(keys.jwtPrivateKey, "RS256");
    const token = await new SignJWT({ sub: "proof" })
      .setProtectedHeader({ alg: "RS256" })
      .setExpirationTime("1m")
      .sign(key);
    await jwtVerify(token, createLocalJWKSet(JSON.parse(keys.jwks) as { keys: [] }), { algorithms: ["RS256"] });
  } catch {
    throw refused("jwt-private-key-unproven", "signs nothing that its own public key verifies: it is damaged.");
  }
}
