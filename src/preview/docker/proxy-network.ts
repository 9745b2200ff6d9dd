import { type ContainerEntry, listContainers } from "../../backend/docker/containers.ts";
import type { Engine } from "../../backend/docker/engine.ts";
import { ActionError } from "../../runner/errors.ts";
import type { ProxyKind } from "./routes.ts";

/** Networks that say nothing about where proxy and containers are to meet. */
const NOT_MEANT = ["bridge", "none"];

/**
 * The network that the proxy is on: asked of the engine, where no input names it. `host` is a proxy on the host's own
 * network, which reaches every container.
 * @throws ActionError `proxy-network-unknown`
 */
export async function findProxyNetwork(engine: Engine, proxy: ProxyKind): Promise<string> {
  const running = await listContainers(engine, { status: ["running"] });
  const proxies = running.filter((container) => isProxy(container, proxy));
  const networks = new Set(proxies.flatMap((one) => one.networks.filter((name) => !NOT_MEANT.includes(name))));
  const [only] = networks;
  if (only !== undefined && networks.size === 1) return only;
  throw unknown(engine, proxy, proxies, [...networks]);
}

/** By its image's name: `traefik:v3.7`, `lucaslorentz/caddy-docker-proxy`, a mirror of either. */
function isProxy({ image, name }: ContainerEntry, proxy: ProxyKind): boolean {
  const known = new RegExp(`(^|[/_-])${proxy}([-_:@]|$)`);
  return known.test(image.replace(/@sha256:.*$/, "")) || known.test(name);
}

function unknown(
  engine: Engine,
  proxy: ProxyKind,
  proxies: readonly ContainerEntry[],
  networks: readonly string[],
): ActionError {
  const why =
    proxies.length === 0
      ? `no running container there looks like ${proxy}`
      : networks.length === 0
        ? `${proxies.map(({ name }) => name).join(", ")} is on Docker's default network only`
        : `${proxies.map(({ name }) => name).join(", ")} is on several: ${networks.join(", ")}`;
  return new ActionError(
    "proxy-network-unknown",
    `On ${engine.where} it cannot be told which network the proxy reaches previews on: ${why}.`,
    "Name it in proxy-network: the Docker network that the proxy's container is on (host, where it runs on the host's own).",
  );
}
