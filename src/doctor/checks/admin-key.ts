import { parseAdminKey } from "../../credentials/admin-key.ts";
import { ActionError } from "../../runner/errors.ts";
import type { Check } from "../context.ts";
import { error, NotChecked, notice, ok, type Verdict, warning } from "../finding.ts";

const MAKE_ONE = "Make a key on the server with ./generate_admin_key.sh without options, and update the secret.";

/** The key is a full one of this instance. */
export const adminKey: Check = {
  id: "admin-key",
  async run({ adminKey: key, facts }) {
    switch (await facts.key()) {
      case "malformed":
        return [malformed(key)];
      case "rejected":
        return [
          error(
            "The backend does not accept the admin key.",
            "It was made for another instance, or name or secret of the instance changed since: then every key made before is void.",
            MAKE_ONE,
          ),
        ];
      case "system":
        return [
          error("The key is a system key, not an admin key.", "It can neither deploy nor read variables.", MAKE_ONE),
        ];
      case "read-only":
        return [
          warning(
            "The admin key is read-only.",
            "Deploys, imports and changes of variables fail with it. It is no safe key to hand out either: it reads all data and variables, and may act as any user in queries.",
            MAKE_ONE,
          ),
        ];
      case "stripped":
        throw new NotChecked("the header Authorization does not arrive");
      default:
        return [ok("The backend accepts the admin key, and it may write."), ...formatOf(key)];
    }
  },
};

function malformed(key: string): Verdict {
  try {
    parseAdminKey(key);
  } catch (failure) {
    if (failure instanceof ActionError) {
      return error(failure.message, "No backend accepts such a key, and the CLI may print it in clear.", failure.hint);
    }
  }
  return error("The admin key is malformed.", "No backend accepts it.", MAKE_ONE);
}

/** 24 bytes of nonce instead of 12, so a legacy key is never shorter than this (contract 2.1, 2.2). */
const SHORTEST_LEGACY_BYTES = 49;

function formatOf(key: string): Verdict[] {
  if (parseAdminKey(key).encrypted.length / 2 < SHORTEST_LEGACY_BYTES) return [];
  return [
    notice(
      "The admin key has the format that was issued before 2025-06-05.",
      "Current releases still accept it.",
      "After the next upgrade make a new one with ./generate_admin_key.sh.",
    ),
  ];
}
