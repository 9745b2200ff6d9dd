import { randomUUID } from "node:crypto";
import { wireError } from "../deployment/backend-error.ts";
import { asRecord } from "../deployment/json.ts";
import { checkReach, type Finding as Reach } from "../deployment/reach.ts";
import { messageOf } from "../runner/errors.ts";
import type { Context } from "./context.ts";
import { NotChecked } from "./finding.ts";
import { hasKeyForm, judgeKey, type KeyState } from "./key-state.ts";

/** An auth provider in force, as the backend itself names it (contract 3.1). */
export interface Provider {
  readonly kind: "OIDC" | "CustomJWT";
  readonly issuer: string;
}

export interface OriginsInForce {
  readonly cloud: string;
  readonly site: string | undefined;
}

/**
 * What more than one check needs to know; each is asked for once. All but `reach` and `key` throw `NotChecked` when
 * something stands before them that a check of its own reports.
 */
export interface Facts {
  reach(): Promise<Reach | undefined>;
  /** Both ports answer `GET /version`; the one of the HTTP actions knows no other path of the API (contract 1.5). */
  isSitePort(): Promise<boolean>;
  /** Resolves when an API answers. */
  reached(): Promise<void>;
  instanceName(): Promise<string | undefined>;
  key(): Promise<KeyState>;
  variables(): Promise<ReadonlyMap<string, string>>;
  origins(): Promise<OriginsInForce>;
  /** Where HTTP actions are: the input, or else what the backend gives out. */
  site(): Promise<string>;
  providers(): Promise<readonly Provider[]>;
  /** `issuer` of the discovery document that the app serves; undefined when it serves none. */
  servedIssuer(): Promise<string | undefined>;
}

type Asked = Omit<Context, "facts">;

export function factsOf(context: Asked): Facts {
  const facts: Facts = {
    reach: once(() => checkReach(context.http, context.url)),
    isSitePort: once(async () => {
      const answer = await context.http.request(`${context.url}/instance_name`).catch(() => undefined);
      return answer?.status === 404 && /HTTP actions enabled|No matching routes found/.test(answer.text());
    }),
    reached: once(async () => {
      const found = await facts.reach();
      // Where only /version is closed the others decide.
      if (found !== undefined && found.code !== "backend-route-missing")
        throw new NotChecked("the deployment does not answer as one");
      if (await facts.isSitePort()) throw new NotChecked("url is the port of the HTTP actions");
    }),
    instanceName: once(async () => {
      await facts.reached();
      return await context.client.instanceName().then(
        (name) => (/^\s*</.test(name) ? undefined : name.trim()),
        () => undefined,
      );
    }),
    key: once(async () => {
      await facts.reached();
      return hasKeyForm(context.adminKey) ? await judgeKey(context.client) : "malformed";
    }),
    variables: once(async () => {
      await usable(facts);
      return await context.client.listVariables();
    }),
    origins: once(async () => {
      await usable(facts);
      return await originsOf(context);
    }),
    site: once(async () => context.siteUrl ?? (await ownSite(facts))),
    providers: once(async () => {
      await facts.reached();
      return await providersOf(context);
    }),
    servedIssuer: once(async () => await servedIssuer(context, await facts.site())),
  };
  return facts;
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

async function usable(facts: Facts): Promise<void> {
  const state = await facts.key();
  if (state !== "admin" && state !== "read-only") throw new NotChecked("the admin key does not open the deployment");
}

async function originsOf({ client }: Asked): Promise<OriginsInForce> {
  const known = await client.canonicalUrls();
  if (known !== undefined) return known;
  // Releases before 2025-10-10; there is no such query for the site (contract 6.2).
  return { cloud: String(await client.systemQuery("_system/cli/convexUrl:cloudUrl", {})), site: undefined };
}

async function ownSite(facts: Facts): Promise<string> {
  const { site } = await facts.origins();
  if (site === undefined || !/^https?:\/\//.test(site) || !URL.canParse(site))
    throw new NotChecked("site-url is not set, and the backend names no usable one");
  return site.replace(/\/+$/, "");
}

/**
 * A token of a made-up issuer is refused before its signature is looked at, and the refusal names the providers in
 * force (contract 3.1). No admin key is sent.
 */
async function providersOf({ http, url, now }: Asked): Promise<readonly Provider[]> {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const seconds = Math.floor(now / 1000);
  const claims = {
    iss: `https://${randomUUID()}.invalid`,
    sub: "doctor",
    aud: "doctor",
    iat: seconds,
    exp: seconds + 60,
  };
  const token = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}.${Buffer.from("doctor").toString("base64url")}`;
  const response = await http.request(`${url}/api/query`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ path: "_system/cli/tables", args: {}, format: "json" }),
  });
  const wire = wireError(response.text());
  if (wire?.code !== "NoAuthProvider")
    throw new NotChecked("the backend does not tell which auth providers are in force");
  if (wire.message.includes("(no providers configured)")) return [];
  const listed = [...wire.message.matchAll(/(OIDC|CustomJWT)\((?:domain|issuer)=(.*?), app_id=/g)];
  if (listed.length === 0) throw new NotChecked("the backend hides which auth providers are in force");
  return listed.map(([, kind, issuer]) => ({ kind: kind === "OIDC" ? kind : "CustomJWT", issuer: issuer ?? "" }));
}

async function servedIssuer({ http }: Asked, site: string): Promise<string | undefined> {
  const answer = await http.request(`${site}/.well-known/openid-configuration`).catch((failure: unknown) => {
    throw new NotChecked(`the HTTP actions do not answer (${messageOf(failure)})`);
  });
  try {
    const { issuer } = asRecord(answer.json());
    return answer.status === 200 && typeof issuer === "string" ? issuer : undefined;
  } catch {
    return undefined;
  }
}
