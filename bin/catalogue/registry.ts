import type { Http, HttpResponse } from "../../src/system/http.ts";
import { isRecord } from "./json.ts";
import { ORGANISATIONS } from "./published.ts";

const MANIFESTS = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

/** A pull token for anybody, from where the registry's own refusal says (`Bearer realm=…`). */
async function tokenFor(refusal: HttpResponse, registry: string, http: Http): Promise<string> {
  const challenge = String(refusal.headers["www-authenticate"] ?? "");
  const field = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(challenge)?.[1] ?? "";
  const realm = new URL(field("realm"));
  if (realm.host !== new URL(registry).host) throw new Error(`${registry} sends for a token to ${realm.host}`);
  realm.searchParams.set("service", field("service"));
  realm.searchParams.set("scope", field("scope"));
  const answer = await http.request(realm.href);
  const body = answer.status === 200 ? answer.json() : undefined;
  if (!isRecord(body) || typeof body["token"] !== "string") throw new Error(`${registry} gives no token`);
  return body["token"];
}

/** The digest of the image's manifest list; undefined where no organisation has that tag. */
export async function imageDigest(registry: string, tag: string, http: Http): Promise<string | undefined> {
  for (const organisation of ORGANISATIONS) {
    const url = `${registry}/v2/${organisation}/convex-backend/manifests/${tag}`;
    const ask = (token?: string): Promise<HttpResponse> =>
      http.request(url, {
        method: "HEAD",
        headers: { accept: MANIFESTS.join(", "), ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      });
    let answer = await ask();
    if (answer.status === 401) answer = await ask(await tokenFor(answer, registry, http));
    // GHCR answers 403 for the token of a package that is not there.
    if ([401, 403, 404].includes(answer.status)) continue;
    const digest = String(answer.headers["docker-content-digest"] ?? "");
    if (answer.status !== 200 || !/^sha256:[0-9a-f]{64}$/.test(digest))
      throw new Error(`${url}: ${answer.status}, digest ${JSON.stringify(digest)}`);
    return digest;
  }
  return undefined;
}
