import type { Forward } from "./origins.ts";

/**
 * Runs in the container with the image's own node; arguments are `host|port|target`, or `host|port|target|to` for
 * another host than the own loopback. Nothing may end it: without it Node actions fail with `fetch failed`. An address that cannot be listened on (no IPv6) is left out.
 */
const SCRIPT = `
const net = require("net");
process.on("uncaughtException", () => {});
for (const entry of process.argv.slice(1)) {
  const [host, port, target, to = "127.0.0.1"] = entry.split("|");
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (outer) => {
    const inner = net.connect({ host: to, port: Number(target), allowHalfOpen: true, noDelay: true });
    outer.on("error", () => inner.destroy());
    inner.on("error", () => outer.destroy());
    outer.pipe(inner).pipe(outer);
  });
  server.on("error", () => {});
  server.listen(Number(port), host);
}`;

/** Starts the forwarder beside, then becomes the image's own program: that stays PID 1, gets the signals and ends the container, and the forwarder with it. */
const WRAPPER = `node -e "$1" $2 </dev/null >/dev/null 2>&1 & shift 2; exec "$@"`;

/** The container's entry point with the forwards; undefined when the image's own will do. */
export function withForwards(
  forwards: readonly Forward[],
  image: { readonly entrypoint: readonly string[]; readonly cmd: readonly string[] },
): { readonly entrypoint: readonly string[]; readonly cmd: readonly string[] } | undefined {
  if (forwards.length === 0) return undefined;
  const entries = forwards.map(({ host, port, target }) => `${host}|${port}|${target}`).join(" ");
  return { entrypoint: ["/bin/sh", "-c", WRAPPER, "sh", SCRIPT, entries], cmd: [...image.entrypoint, ...image.cmd] };
}

/** A program of its own that passes connections to `ports` on to the same ports of another container. */
export function gatewayTo(host: string, ports: readonly number[]): readonly string[] {
  return ["node", "-e", SCRIPT, ...ports.map((port) => `0.0.0.0|${port}|${port}|${host}`)];
}
