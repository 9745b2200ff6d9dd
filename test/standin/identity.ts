/** Who calls: the Authorization header and the admin key behind it (contract 2, 3.1). */
import { type AdminKey, openAdminKey } from "./admin-keys.ts";
import { ApiError, type Fields, type Identity, type Like, type TokenVerifier, type UserIdentity } from "./types.ts";
import { fromJson, isFields } from "./values.ts";

export const badAdminKey = () =>
  new ApiError(401, "BadAdminKey", "The provided admin key was invalid for this instance");

const badDeployKey = () =>
  new ApiError(
    403,
    "BadDeployKey",
    "The provided deploy key was invalid for this deployment. " +
      "Double check that the environment this key was generated for matches the desired deployment.",
  );

const malformedHeader = () => new ApiError(400, "HeaderParseFailure", "Malformed Authorization header.");

/** A header whose form is right; nothing of it is checked yet. */
type Credentials =
  | { readonly scheme: "none" }
  | { readonly scheme: "convex"; readonly key: string; readonly user?: UserIdentity }
  | { readonly scheme: "bearer"; readonly token: string };

/** The form of a header, or 400. */
export function parseAuthorization(header: string | undefined): Credentials {
  if (header === undefined) return { scheme: "none" };
  const text = header.trimEnd();
  if (text.length < 7) throw new ApiError(400, "InvalidHeaderFailure", "Invalid authentication header");
  if (/[^\x20-\x7e\t]/.test(text)) throw malformedHeader();
  const scheme = text.slice(0, 7).toLowerCase();
  if (scheme === "bearer ") return { scheme: "bearer", token: text.slice(7) };
  if (scheme !== "convex ") throw new ApiError(400, "InvalidAdminKey", "Invalid admin key");
  return { scheme: "convex", ...parseKeyAndUser(text.slice(7)) };
}

/**
 * `[<prefix>:]<name>|<hex>[:<base64 identity>]`. The backend's own rule, seen from outside: everything before the
 * first `:` is a prefix when the key's `|` comes later; what follows the next `:` is the acting user.
 */
function parseKeyAndUser(text: string): { key: string; user?: UserIdentity } {
  const parts = text.split(":");
  const [prefix = ""] = parts;
  // With these two prefixes the header form drops the name part altogether (contract 2).
  if (parts.length > 1 && (prefix === "preview" || prefix === "project"))
    return { key: text.slice(text.indexOf("|") + 1) };
  const [key = "", acting, ...more] = parts.length > 1 && !prefix.includes("|") ? parts.slice(1) : parts;
  if (more.length > 0) throw malformedHeader();
  return acting === undefined ? { key } : { key, user: parseActingUser(acting) };
}

function parseActingUser(base64: string): UserIdentity {
  const value = decodeJson(base64);
  const { subject, issuer, tokenIdentifier } = value;
  if (typeof subject === "string" && typeof issuer === "string") {
    const token = typeof tokenIdentifier === "string" ? tokenIdentifier : `${issuer}|${subject}`;
    return { ...value, subject, issuer, tokenIdentifier: token };
  }
  if (typeof tokenIdentifier !== "string") throw malformedHeader();
  return { ...value, tokenIdentifier } as UserIdentity;
}

function decodeJson(base64: string): Fields {
  try {
    const value = fromJson(JSON.parse(Buffer.from(base64, "base64").toString("utf8")));
    if (isFields(value)) return value;
  } catch {
    // No JSON is the same defect as JSON of another form.
  }
  throw malformedHeader();
}

/** Decides who a caller is, for one instance. */
export class Identities {
  /** Set by the part that knows the deployed auth config. */
  verifyToken: TokenVerifier = async () => {
    const text =
      "No auth provider found matching the given token (no providers configured). Check convex/auth.config.ts.";
    throw new ApiError(401, "NoAuthProvider", text);
  };
  #name: string;
  #secret: Uint8Array;
  #like: Like;

  constructor(instance: { name: string; secret: Uint8Array; like: Like }) {
    this.#name = instance.name;
    this.#secret = instance.secret;
    this.#like = instance.like;
  }

  /** A key from a body or a query string; 401 when it is not one of this instance. */
  byKey(text: string): Identity {
    const bar = text.indexOf("|");
    const name = text.slice(0, Math.max(bar, 0));
    // A second prefix, or the name of another project, makes it another instance's key.
    const colon = name.indexOf(":");
    const key = this.#open(bar < 0 ? undefined : name.slice(colon + 1), text.slice(bar + 1));
    if (key.kind === "system") return { kind: "system" };
    return { kind: "admin", readOnly: key.readOnly, namesOperation: this.#like === "head" };
  }

  /** Checks the form (400), then the credentials (401). */
  async byHeader(header: string | undefined): Promise<Identity> {
    const credentials = parseAuthorization(header);
    if (credentials.scheme === "none") return { kind: "none" };
    if (credentials.scheme === "bearer") return { kind: "user", user: await this.verifyToken(credentials.token) };
    const identity = this.byKey(credentials.key);
    if (credentials.user === undefined) return identity;
    if (identity.kind !== "admin") return { kind: "acting", key: "system", user: credentials.user };
    const { readOnly, namesOperation = false } = identity;
    return { kind: "acting", key: readOnly ? "readOnly" : "admin", user: credentials.user, namesOperation };
  }

  #open(name: string | undefined, hex: string): AdminKey {
    const key = openAdminKey(hex, this.#secret, { legacyOnly: this.#like === "first" });
    if (key === undefined || (name ?? key.instanceName) !== this.#name) throw badAdminKey();
    return key;
  }
}

/** What the key alone may do: acting users do not count on admin endpoints. */
function keyKind(identity: Identity): "admin" | "readOnly" | "system" | "none" {
  if (identity.kind === "acting") return identity.key;
  if (identity.kind === "admin") return identity.readOnly ? "readOnly" : "admin";
  return identity.kind === "system" ? "system" : "none";
}

/** May read what admins and read-only keys see. */
export function isAdmin(identity: Identity): boolean {
  const kind = keyKind(identity);
  return kind === "admin" || kind === "readOnly";
}

export const isReadOnly = (identity: Identity) => keyKind(identity) === "readOnly";

/** Admin, read-only or system key: what system queries and log streams want. */
export const hasKey = (identity: Identity) => keyKind(identity) !== "none";

/** The 403 of admin endpoints (contract 3.1). */
export function requireAdmin(identity: Identity, need: "read" | "write"): void {
  if (!isAdmin(identity)) throw badDeployKey();
  if (need === "write" && isReadOnly(identity)) throw readOnlyRefusal(identity);
}

/** Why a read-only key may not; `kind` is the kind of function that it wanted to run. */
export function readOnlyRefusal(identity: Identity, kind?: "Mutation" | "Action"): ApiError {
  const may = "You do not have permission to";
  if ("namesOperation" in identity && identity.namesOperation === true) {
    const operation = kind === undefined ? "deployment:write" : `deployment:functions:run${kind}s`;
    return new ApiError(403, "OperationNotPermitted", `${may} perform this operation (${operation}).`);
  }
  if (kind !== undefined) return new ApiError(403, "Unauthorized", `${may} run ${kind} functions.`);
  return new ApiError(403, "ReadOnlyAdminKey", `${may} perform this operation.`);
}
