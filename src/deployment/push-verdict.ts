import type { Annotation } from "../runner/annotations.ts";
import type { Sources } from "./push-places.ts";

/** What the rules know of the push beside its output. */
export interface PushContext {
  readonly sources: Sources;
  readonly cliVersion: string;
  readonly installCommand: string;
  /** Files with "use node". */
  readonly nodeModules: readonly string[];
  readonly showDocuments: boolean;
}

/** What a rule finds out; the rest is filled in. */
export interface Verdict {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly annotations?: readonly Annotation[];
  readonly retry?: boolean;
}
