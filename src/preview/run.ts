import type { GitHub } from "../github/client.ts";
import type { Timeline } from "../runner/timeline.ts";
import type { Deps } from "../system/deps.ts";
import type { PreviewEvent } from "./event.ts";
import type { PreviewInputs } from "./inputs.ts";
import type { PreviewPolicy } from "./plan.ts";
import type { UpReport } from "./report.ts";
import type { Teller } from "./teller.ts";

/** One run of the preview action, as its parts share it. */
export interface PreviewRun {
  readonly inputs: PreviewInputs;
  readonly policy: PreviewPolicy;
  readonly event: PreviewEvent;
  readonly repository: string;
  /** Undefined without `github-token`. */
  readonly github: GitHub | undefined;
  readonly teller: Teller;
  readonly timeline: Timeline;
  readonly tell: (facts: Partial<UpReport>) => void;
  readonly report: () => UpReport;
  readonly deps: Deps;
}
