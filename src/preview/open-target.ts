import { resolveImage } from "../backend/catalogue.ts";
import { DockerTarget } from "./docker/target.ts";
import { openPlace } from "./place.ts";
import type { PreviewRun } from "./run.ts";
import { previewState } from "./state.ts";

/** Connects, does `work`, and closes the connection whatever came of it. */
export async function withTarget<T>(
  { inputs, repository, timeline, tell, deps }: PreviewRun,
  work: (target: DockerTarget) => Promise<T>,
): Promise<T> {
  const save = (folder: string): void => previewState.save({ folder });
  const place = await timeline.phase("connect", () => openPlace(inputs, save, deps));
  tell({ where: place.engine.where });
  const { version, image, requireDigest, dashboardImage } = inputs;
  const remote = place.host !== "127.0.0.1";
  const target = new DockerTarget(
    place.engine,
    {
      repository,
      image: resolveImage({ version, image, requireDigest }),
      dashboardImage: inputs.dashboard ? resolveImage({ image: dashboardImage }) : undefined,
      pull: inputs.pull,
      proxy: inputs.proxy,
      proxyNetwork: inputs.proxyNetwork,
      certResolver: inputs.certResolver,
      bind: inputs.bind ?? (remote ? "0.0.0.0" : "127.0.0.1"),
      host: place.host,
    },
    deps,
    () => place.close(),
  );
  try {
    return await work(target);
  } finally {
    await target.close();
  }
}
