import { randomBytes } from "node:crypto";
import { ActionError } from "../runner/errors.ts";

/** A fresh secret: 32 random bytes as 64 hex digits (contract 1.3). */
export function generateInstanceSecret(): string {
  return randomBytes(32).toString("hex");
}

/** Why the backend would refuse a secret, in words without the secret itself; nothing for a good one. */
export function secretDefect(secret: string): string | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(secret)) return undefined;
  if (/\s/.test(secret)) return "it has a blank or a line break in it";
  return /^[0-9a-fA-F]*$/.test(secret) ? `it has ${secret.length} digits` : "it holds something else than hex digits";
}

/** Refuses what the backend would refuse only after it has created its database file (contract 1.3). */
export function checkInstanceSecret(secret: string): void {
  const why = secretDefect(secret);
  if (why === undefined) return;
  throw new ActionError(
    "instance-secret-invalid",
    `instance-secret is not 64 hex digits: ${why}.`,
    "Make one with `openssl rand -hex 32`, or leave the input out to get a fresh one for this job.",
  );
}
