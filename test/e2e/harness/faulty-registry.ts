/**
 * A registry that fails. The first part of a repository's name says how: `127.0.0.1:<port>/fault-429/convex-backend`.
 * Without a fault's name nothing is known: `manifest unknown`.
 */
import { createHash } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Reply = (response: ServerResponse) => void;

function refuse(status: number, code: string, headers: Record<string, string> = {}): Reply {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll("_", " ") }] }));
  };
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json";
const layer = Buffer.alloc(1_000_000, 1);
const config = Buffer.from(
  JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } }),
);
const digestOf = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: {
      mediaType: "application/vnd.docker.container.image.v1+json",
      size: config.length,
      digest: digestOf(config),
    },
    layers: [
      { mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", size: layer.length, digest: digestOf(layer) },
    ],
  }),
);

function send(bytes: Buffer, type: string, cutAt = bytes.length): Reply {
  return (response) => {
    const digest = digestOf(bytes);
    response.writeHead(200, { "content-type": type, "content-length": bytes.length, "docker-content-digest": digest });
    response.write(bytes.subarray(0, cutAt), () => (cutAt < bytes.length ? response.destroy() : response.end()));
  };
}

/** A manifest that can be had, and a layer whose connection is cut each time: the engine tries for 75 s. */
function cutLayer(path: string): Reply {
  if (path.includes("/manifests/")) return send(manifest, manifestType);
  if (path.endsWith(digestOf(config))) return send(config, "application/octet-stream");
  return send(layer, "application/octet-stream", 1000);
}

function route(path: string): Reply {
  const [, fault = ""] = path.match(/^\/v2\/([^/]+)\//) ?? [];
  switch (fault) {
    case "fault-401":
      return refuse(401, "UNAUTHORIZED", { "www-authenticate": 'Basic realm="registry"' });
    case "fault-403":
      return refuse(403, "DENIED");
    case "fault-429":
      return refuse(429, "TOOMANYREQUESTS", { "retry-after": "1" });
    case "fault-500":
      return refuse(500, "UNKNOWN");
    case "fault-cut":
      return send(manifest, manifestType, 10);
    case "fault-cut-layer":
      return cutLayer(path);
    default:
      return refuse(404, "MANIFEST_UNKNOWN");
  }
}

/** Resolves with its `127.0.0.1:<port>`; Docker takes plain HTTP on loopback. */
export async function startFaultyRegistry(): Promise<string> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://registry").pathname;
    if (path === "/v2/") response.writeHead(200, { "content-type": "application/json" }).end("{}");
    else route(path)(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
