import { ActionError } from "../../runner/errors.ts";
import { inspectContainer, listContainers } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { LABEL } from "./labels.ts";

/**
 * Two containers with one alias share its traffic, which would look like a backend that forgets every second request.
 * @throws ActionError `alias-taken`
 */
export async function checkAlias(engine: Engine, network: string, alias: string): Promise<void> {
  const neighbours = await listContainers(engine, { network: [network] });
  const running = neighbours.filter((container) => container.running);
  const infos = await Promise.all(running.map(({ id }) => inspectContainer(engine, id)));
  const holder = infos.find((info) => info?.name === alias || info?.networks[network]?.includes(alias));
  if (holder === undefined) return;
  const step = holder.labels[LABEL.step];
  const who = step === undefined || step.startsWith("__") ? `container ${holder.name}` : `step "${step}"`;
  throw new ActionError(
    "alias-taken",
    `On the network ${network} the name "${alias}" belongs to ${who} already, and this backend would be reached by the same.`,
    "Give this backend another instance-name.",
  );
}
