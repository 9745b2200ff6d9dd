import { createHmac } from "node:crypto";
import { backendConfig, hostConfig } from "../../backend/docker/config.ts";
import type { Fields } from "../../backend/docker/fields.ts";
import { gatewayTo } from "../../backend/docker/forwarder.ts";
import type { Image } from "../../backend/docker/image.ts";
import { LABEL, type Labels } from "../../backend/docker/labels.ts";
import { API_PORT, SITE_PORT } from "../../backend/docker/origins.ts";
import type { PreviewSpec } from "../target.ts";
import { type Names, ownerLabels, type Role } from "./names.ts";
import { backendRoutes, type ProxyKind, type Route, routeLabels } from "./routes.ts";

/** How a preview is reached on its host. */
export type Entrance =
  | {
      readonly kind: "proxy";
      readonly proxy: ProxyKind;
      /** `host`: the proxy is on the host's own network and reaches every container. */
      readonly network: string;
      readonly certResolver?: string | undefined;
    }
  | { readonly kind: "ports"; readonly bind: string; readonly ports: Ports };

/** Host ports of API, HTTP actions and dashboard. */
export type Ports = readonly [port: number, sitePort: number, dashboardPort: number];

/** One container as it should be. */
export interface Wanted {
  readonly role: Role;
  readonly name: string;
  readonly config: Fields;
  /** A second network, joined before the start. */
  readonly joins?: string;
  /** Equal to that of a container that is there: nothing has to change. */
  readonly settings: string;
}

export interface WantedOptions {
  readonly names: Names;
  readonly image: Image;
  readonly dashboard?: { readonly image: Image; readonly origin: string };
  readonly entrance: Entrance;
  readonly origins: { readonly cloud: string; readonly site: string };
}

const INNER_DASHBOARD_PORT = 6791;
/** The name by which the gateway finds the backend on their own network. */
const BACKEND_ALIAS = "backend";
const MIB = 1024 * 1024;

/** Whether the preview needs a network of its own: where no proxy has one, or where it must not reach the others. */
export function ownNetwork(spec: PreviewSpec, entrance: Entrance): boolean {
  return spec.isolated || entrance.kind === "ports" || entrance.network === "host";
}

/** All containers of a preview, the backend first. Pure. */
export function wantedContainers(spec: PreviewSpec, options: WantedOptions): Wanted[] {
  const { names, entrance } = options;
  const own = ownNetwork(spec, entrance);
  const network = own || entrance.kind === "ports" ? names.network : entrance.network;
  const behind = spec.isolated && entrance.kind === "proxy" && entrance.network !== "host";
  const wanted = [backend(spec, options, network, behind)];
  if (behind) wanted.push(gateway(spec, options, entrance.network));
  if (options.dashboard !== undefined) wanted.push(dashboard(spec, options, options.dashboard));
  return wanted;
}

function finished(spec: PreviewSpec, names: Names, role: Role, config: Fields, joins?: string): Wanted {
  const settings = createHmac("sha256", spec.instanceSecret).update(JSON.stringify({ config, joins })).digest("hex");
  const labels = { ...(config["Labels"] as Labels), [LABEL.settings]: settings };
  return {
    role,
    name: names.container(role),
    config: { ...config, Labels: labels },
    settings,
    ...(joins === undefined ? {} : { joins }),
  };
}

function backend(spec: PreviewSpec, options: WantedOptions, network: string, behind: boolean): Wanted {
  const { names, image, entrance, origins } = options;
  const labels = {
    ...ownerLabels(names, spec.number),
    [LABEL.role]: "backend",
    [LABEL.cloudOrigin]: origins.cloud,
    [LABEL.siteOrigin]: origins.site,
    ...(entrance.kind === "ports" ? { [LABEL.ports]: entrance.ports.join(",") } : {}),
    ...(entrance.kind === "proxy" && !behind ? routes(options, entrance, network, backendRoutes(origins)) : {}),
  };
  const config = backendConfig(spec, { cloudOrigin: origins.cloud, siteOrigin: origins.site }, image, labels);
  const { ExtraHosts, ...host } = hostConfig([{ Type: "volume", Source: names.data, Target: "/convex/data" }]);
  return finished(spec, names, "backend", {
    ...config,
    HostConfig: {
      ...host,
      // What runs on the host is none of a stranger's business.
      ...(spec.isolated ? { PidsLimit: 1024 } : { ExtraHosts }),
      NetworkMode: network,
      RestartPolicy: { Name: "unless-stopped" },
      SecurityOpt: ["no-new-privileges"],
      // Swap would only make a preview slow that has outgrown its limit.
      ...(spec.memory === undefined ? {} : { Memory: spec.memory, MemorySwap: spec.memory }),
      ...(spec.cpus === undefined ? {} : { NanoCpus: Math.round(spec.cpus * 1e9) }),
      ...(entrance.kind === "ports"
        ? {
            PortBindings: {
              [`${API_PORT}/tcp`]: binding(entrance.bind, entrance.ports[0]),
              [`${SITE_PORT}/tcp`]: binding(entrance.bind, entrance.ports[1]),
            },
          }
        : {}),
    },
    ...(behind ? { NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [BACKEND_ALIAS] } } } } : {}),
  });
}

/**
 * The only way into an isolated preview: a small program on both networks that passes connections on to the backend, so
 * that neither the proxy has to join the stranger's network nor the stranger the proxy's, where the other previews are.
 */
function gateway(spec: PreviewSpec, options: WantedOptions, network: string): Wanted {
  const { names, image, entrance, origins } = options;
  const labels = {
    ...ownerLabels(names, spec.number),
    [LABEL.role]: "gateway",
    ...(entrance.kind === "proxy" ? routes(options, entrance, network, backendRoutes(origins)) : {}),
  };
  const config = {
    Image: image.reference,
    Entrypoint: gatewayTo(BACKEND_ALIAS, [API_PORT, SITE_PORT]),
    Cmd: [],
    Labels: labels,
    ExposedPorts: { [`${API_PORT}/tcp`]: {}, [`${SITE_PORT}/tcp`]: {} },
    StopSignal: "SIGKILL",
    HostConfig: {
      NetworkMode: names.network,
      RestartPolicy: { Name: "unless-stopped" },
      SecurityOpt: ["no-new-privileges"],
      CapDrop: ["ALL"],
      ReadonlyRootfs: true,
      Memory: 128 * MIB,
      MemorySwap: 128 * MIB,
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "1" } },
    },
  };
  return finished(spec, names, "gateway", config, network);
}

function dashboard(
  spec: PreviewSpec,
  options: WantedOptions,
  { image, origin }: { readonly image: Image; readonly origin: string },
): Wanted {
  const { names, entrance, origins } = options;
  // It talks to nothing: the browser does. So it may stand beside the proxy also for a stranger's preview.
  const network = entrance.kind === "proxy" && entrance.network !== "host" ? entrance.network : names.network;
  const route = { origin, port: INNER_DASHBOARD_PORT };
  return finished(spec, names, "dashboard", {
    Image: image.reference,
    Env: [`NEXT_PUBLIC_DEPLOYMENT_URL=${origins.cloud}`],
    Labels: {
      ...ownerLabels(names, spec.number),
      [LABEL.role]: "dashboard",
      ...(entrance.kind === "proxy" ? routes(options, entrance, network, [route]) : {}),
    },
    ExposedPorts: { [`${INNER_DASHBOARD_PORT}/tcp`]: {} },
    HostConfig: {
      NetworkMode: network,
      RestartPolicy: { Name: "unless-stopped" },
      SecurityOpt: ["no-new-privileges"],
      Memory: 512 * MIB,
      MemorySwap: 512 * MIB,
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "1" } },
      ...(entrance.kind === "ports"
        ? { PortBindings: { [`${INNER_DASHBOARD_PORT}/tcp`]: binding(entrance.bind, entrance.ports[2]) } }
        : {}),
    },
  });
}

function routes(
  { names }: WantedOptions,
  { proxy, certResolver }: Extract<Entrance, { kind: "proxy" }>,
  network: string,
  list: readonly Route[],
): Labels {
  return routeLabels(proxy, list, { id: names.id, network, certResolver });
}

function binding(bind: string, port: number): Fields[] {
  return [{ HostIp: bind, HostPort: String(port) }];
}
