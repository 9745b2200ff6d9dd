/**
 * A server that speaks GitHub's releases API as far as the action uses it: releases by tag, their list, assets with
 * their `digest`, by address and by id. A first path part chooses a fault: `/fault-429/repos/…`.
 */
import { createHash } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { writeZip } from "../../contract/support/zip.ts";

export interface Release {
  /** `precompiled-2026-09-28-5c7cb5b` */
  readonly tag: string;
  /** Name of an asset → its bytes. */
  readonly assets: Readonly<Record<string, Buffer>>;
}

/** `precompiled-…` with the one asset for this machine. */
export function releaseOf(tag: string, executable: Buffer): Release {
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  const zip = writeZip([{ name: "convex-local-backend", data: executable }]);
  return { tag, assets: { [`convex-local-backend-${arch}-unknown-linux-gnu.zip`]: zip } };
}

type Reply = (response: ServerResponse) => void;

function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
}

function bytes(content: Buffer, cutAt = content.length): Reply {
  return (response) => {
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": String(content.length) });
    response.write(content.subarray(0, cutAt), () => {
      if (cutAt < content.length) response.destroy();
      else response.end();
    });
  };
}

const faults: Readonly<Record<string, Reply>> = {
  "fault-401": json(401, { message: "Bad credentials" }),
  "fault-404": json(404, { message: "Not Found" }),
  "fault-429": json(429, { message: "API rate limit exceeded" }, { "retry-after": "1" }),
  "fault-500": json(500, { message: "Server Error" }),
  "fault-rubbish": (response) => response.end("<html>proxy login</html>"),
  "fault-cut": bytes(Buffer.alloc(100_000, " "), 10),
};

function describe(release: Release, base: string, wrongDigest: boolean): unknown {
  return {
    tag_name: release.tag,
    prerelease: true,
    assets: Object.entries(release.assets).map(([name, bytes]) => ({
      name,
      size: bytes.length,
      url: `${base}/assets/${release.tag}/${name}`,
      browser_download_url: `${base}/download/${release.tag}/${name}`,
      digest: `sha256:${createHash("sha256")
        .update(wrongDigest ? "other" : bytes)
        .digest("hex")}`,
    })),
  };
}

export interface ReleasesServer {
  /** A fault's name goes between origin and path; `<origin>/requests` lists what was asked and whether with a token. */
  readonly origin: string;
  readonly path: string;
}

const path = "/repos/get-convex/convex-backend/releases";

/** `fault-digest` lies about digests, `fault-short` cuts downloads in the middle. */
function route(url: URL, releases: readonly Release[]): Reply {
  const [, first = ""] = url.pathname.split("/");
  const fault = faults[first];
  if (fault !== undefined) return fault;
  const prefix = first.startsWith("fault-") ? `/${first}${path}` : path;
  if (!url.pathname.startsWith(prefix)) return json(404, { message: "Not Found" });
  const shown = (release: Release): unknown => describe(release, `${url.origin}${prefix}`, first === "fault-digest");
  const [, kind, tag, name = ""] = url.pathname.slice(prefix.length).split("/");
  if (kind === undefined) return json(200, releases.map(shown));
  const release = releases.find((candidate) => candidate.tag === tag);
  if (kind === "tags" && release !== undefined) return json(200, shown(release));
  const asset = release?.assets[name];
  if (asset === undefined) return json(404, { message: "Not Found" });
  return bytes(asset, first === "fault-short" ? asset.length >> 1 : asset.length);
}

export async function startReleases(releases: readonly Release[]): Promise<ReleasesServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", `http://${request.headers.host}`);
    if (url.pathname === "/requests") {
      json(200, requests)(response);
      return;
    }
    requests.push(`${request.method} ${url.pathname}${request.headers.authorization === undefined ? "" : " token"}`);
    route(url, releases)(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://127.0.0.1:${port}`, path };
}
