/**
 * `node bench/backup-server.ts <snapshot.zip>`: answers what a backup asks of a backend, with that file as every export.
 * It stands for the network and the server's disk, and so that the time of an export does not count. Prints its port.
 */
import { createReadStream, statSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const [path = ""] = process.argv.slice(2);
const { size } = statSync(path);
let made = 0;

function answer(response: ServerResponse, json: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(json));
}

function latest(): unknown {
  if (made === 0) return null;
  const own = { _id: `gg2${made}`, state: "completed", start_ts: "1795409831284000000", size: String(size) };
  return { ...own, format: { format: "zip", include_storage: true } };
}

const server = createServer((request, response) => {
  const [route] = (request.url ?? "").split("?");
  request.resume();
  if (route === "/version") return response.end("unknown");
  if (route === "/instance_name") return response.end("bench");
  if (route === "/api/query") return answer(response, { status: "success", value: latest() });
  if (route === "/api/check_admin_key") return answer(response, { success: true });
  if (route === "/api/v1/list_environment_variables") return answer(response, { environmentVariables: { A: "1" } });
  if (route === "/api/v1/get_canonical_urls") return answer(response, { convexCloudUrl: "x", convexSiteUrl: "y" });
  if (route === "/api/export/request/zip") made += 1;
  if (!route?.startsWith("/api/export/zip/")) return response.end();
  response.writeHead(200, { "content-length": size });
  return createReadStream(path, { highWaterMark: 1024 * 1024 }).pipe(response);
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
