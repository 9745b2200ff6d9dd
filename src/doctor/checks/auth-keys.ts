import { keyPairDefect } from "../../credentials/key-pair.ts";
import type { Check } from "../context.ts";
import { error, ok, type Verdict, warning } from "../finding.ts";

const PAIR = "Set both from one key pair: the public part of JWT_PRIVATE_KEY is what JWKS has to hold.";
const NOBODY = "A deploy stays green, and nobody can sign in.";

/** `JWT_PRIVATE_KEY` signs the app's tokens, `JWKS` tells the backend which ones to accept (contract 4.4, 8.4). */
export const authKeys: Check = {
  id: "auth-keys",
  async run({ facts }) {
    const variables = await facts.variables();
    return [judge(variables.get("JWT_PRIVATE_KEY"), variables.get("JWKS"))];
  },
};

function judge(key: string | undefined, jwks: string | undefined): Verdict {
  if (key === undefined && jwks === undefined)
    return ok("JWT_PRIVATE_KEY and JWKS are not set: the app signs no tokens itself.");
  if (jwks === undefined) return error("JWT_PRIVATE_KEY is set, JWKS is not.", NOBODY, PAIR);
  // An app may accept another's tokens by JWKS alone.
  if (key === undefined)
    return warning("JWKS is set, JWT_PRIVATE_KEY is not.", "The app cannot sign tokens itself.", PAIR);
  switch (keyPairDefect(key, jwks)) {
    case "key-unreadable":
      return error(
        "JWT_PRIVATE_KEY is no PKCS#8 PEM.",
        NOBODY,
        `${PAIR} Line breaks are often lost when it is pasted.`,
      );
    case "jwks-unreadable":
      return error('JWKS is no JSON like {"keys":[…]}.', NOBODY, PAIR);
    case "mismatch":
      return error("JWT_PRIVATE_KEY and JWKS do not belong together.", NOBODY, PAIR);
    case "ambiguous":
      return error(
        "JWKS holds several keys, not all with a kid; the backend then accepts no token.",
        NOBODY,
        "Leave the one key of JWT_PRIVATE_KEY in JWKS.",
      );
    default:
      return ok("JWT_PRIVATE_KEY and JWKS belong together.");
  }
}
