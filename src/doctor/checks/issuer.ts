import { checkSignIn } from "../../deployment/sign-in.ts";
import type { Check, Context } from "../context.ts";
import { error, NotChecked, notice, ok, type Verdict, warning } from "../finding.ts";

const AGAIN =
  "Deploy again, or set any variable: both make the backend evaluate auth.config anew with the site origin that it has now.";

/**
 * An app that signs its own tokens is an issuer that the backend accepts. `auth.config` is evaluated at a deploy, not
 * at a start, so after a change of the site origin the old issuer is still in force (contract 1.8).
 */
export const issuer: Check = {
  id: "issuer",
  async run({ facts }) {
    const [{ site }, variables, providers, served] = await Promise.all([
      facts.origins(),
      facts.variables(),
      facts.providers(),
      facts.servedIssuer().catch(unknownIfNotChecked),
    ]);
    const names = providers.map((provider) => provider.issuer);
    const wanted = served ?? site;
    if (wanted !== undefined && names.includes(wanted))
      return [ok(`The backend accepts tokens of ${wanted}, as the app issues them.`)];
    const signs = variables.has("JWT_PRIVATE_KEY") && variables.has("JWKS");
    if (served === undefined && !signs) return [ok(`${accepted(names)} The app issues none itself.`)];
    if (names.length === 0) return [unconfigured(served)];
    const what = `The app issues tokens as ${wanted ?? "its own site"}, and the backend accepts those of ${names.join(", ")} alone.`;
    const why =
      "All tokens of the app are refused. Usually the site origin changed since the last deploy: auth.config is evaluated then, and not at a start.";
    // Keys alone may be left over from another way to sign in.
    return [served === undefined ? warning(what, why, AGAIN) : error(what, why, AGAIN)];
  },
};

function unknownIfNotChecked(failure: unknown): undefined {
  if (!(failure instanceof NotChecked)) throw failure;
}

const accepted = (names: readonly string[]): string =>
  names.length === 0 ? "No auth provider is deployed." : `The backend accepts tokens of ${names.join(", ")}.`;

function unconfigured(served: string | undefined): Verdict {
  const what = "The app has keys to sign tokens, and no auth provider is deployed.";
  const why = "The backend refuses every token.";
  const fix = "Deploy a convex/auth.config.ts that names process.env.CONVEX_SITE_URL.";
  return served === undefined ? notice(what, why, fix) : warning(what, why, fix);
}

/** The discovery document and keys that the backend fetches for the first token are there (contract 8.4, 12). */
export const discovery: Check = {
  id: "discovery",
  async run(context) {
    const { facts } = context;
    const [{ site }, providers] = await Promise.all([facts.origins(), facts.providers()]);
    const served = await facts.servedIssuer().catch(unknownIfNotChecked);
    const own = providers.find((one) => one.kind === "OIDC" && (one.issuer === site || one.issuer === served));
    if (own === undefined) return [ok("No auth provider is the app itself, so it needs no discovery document.")];
    return await ask(own.issuer, own.issuer === site ? await facts.site() : own.issuer, context);
  },
};

async function ask(siteOrigin: string, siteUrl: string, { http, facts }: Context): Promise<Verdict[]> {
  const jwks = (await facts.variables()).get("JWKS");
  const found = await checkSignIn(http, { siteUrl, siteOrigin, ...(jwks === undefined ? {} : { jwks }) });
  return found.map(({ level, message, hint }) =>
    level === "ok"
      ? ok(message)
      : error(message, "The backend fetches both for every token, and refuses the token without them.", hint),
  );
}
