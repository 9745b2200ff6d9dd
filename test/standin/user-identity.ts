/** What `ctx.auth.getUserIdentity()` makes of the claims of a token (contract 8.4). */
import type { Fields, UserIdentity } from "./types.ts";
import { fromJson } from "./values.ts";

/** OIDC's names and Convex's. */
const KNOWN: Record<string, string> = {
  name: "name",
  given_name: "givenName",
  family_name: "familyName",
  nickname: "nickname",
  preferred_username: "preferredUsername",
  profile: "profileUrl",
  picture: "pictureUrl",
  website: "websiteUrl",
  email: "email",
  email_verified: "emailVerified",
  gender: "gender",
  birthdate: "birthday",
  zoneinfo: "timezone",
  locale: "language",
  phone_number: "phoneNumber",
  phone_number_verified: "phoneNumberVerified",
  address: "address",
  updated_at: "updatedAt",
};

const TECHNICAL = "iss sub aud exp iat nbf jti auth_time nonce acr amr azp at_hash c_hash".split(" ");

/** @param flat nested claims of custom JWTs are shown as `custom.a` */
export function identityOf(
  claims: { readonly [name: string]: unknown },
  issuer: string,
  subject: string,
  flat: boolean,
): UserIdentity {
  const fields: Fields = {};
  for (const [name, claim] of Object.entries(claims)) {
    if (TECHNICAL.includes(name)) continue;
    if (name === "address" && typeof claim === "object" && claim !== null && "formatted" in claim) {
      fields["address"] = fromJson(claim.formatted);
    } else if (name === "updated_at" && (typeof claim === "string" || typeof claim === "number")) {
      fields["updatedAt"] = timeText(claim);
    } else if (flat) flatten(name, claim, fields);
    else fields[KNOWN[name] ?? name] = fromJson(claim);
  }
  return { ...fields, tokenIdentifier: `${issuer}|${subject}`, issuer, subject };
}

/** RFC 3339 as the backend writes it; numbers are seconds. */
function timeText(time: string | number): string {
  const date = new Date(typeof time === "number" ? time * 1000 : time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString().replace(/(\.000)?Z$/, "+00:00");
}

/** Custom JWTs show nested claims as `custom.a`. */
function flatten(name: string, claim: unknown, into: Fields): void {
  if (typeof claim === "object" && claim !== null && !Array.isArray(claim)) {
    for (const [key, item] of Object.entries(claim)) flatten(`${name}.${key}`, item, into);
  } else into[KNOWN[name] ?? name] = fromJson(claim);
}
