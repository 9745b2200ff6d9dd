/** What the event of a run asks for, decided before anything is touched. */
export type PreviewPlan =
  | {
      readonly action: "up";
      readonly name: string;
      readonly number?: number;
      /** The commit that is deployed. */
      readonly commit: string;
      readonly branch: string;
      /** Undefined with `proxy: none`: the host's free ports decide. */
      readonly origins?: { readonly cloud: string; readonly site: string };
      /** A fork's code: it gets `fork-env` and nothing else. */
      readonly fork: boolean;
      /** Always there for a fork: nothing may be done before `checkApproval` (fork.ts) has proved it. */
      readonly approval?: ForkApproval;
    }
  | { readonly action: "down"; readonly name: string; readonly number?: number; readonly why: string }
  | { readonly action: "sweep" }
  /** Nothing is to be done, and that is right: a draft, a pull request without the label. */
  | {
      readonly action: "skip";
      readonly name?: string;
      readonly number?: number;
      readonly why: string;
      /** A fork's commit that nobody let yet: its author and the maintainers are told on the pull request. */
      readonly waits?: true;
      /** Was set for a former commit: to be taken off, so that it can be set for the new one. */
      readonly staleLabel?: string;
    };

/** A label that somebody set on a fork's pull request, and the commit that it was set for. */
export interface ForkApproval {
  readonly label: string;
  /** Login of who set it. */
  readonly by: string;
  readonly number: number;
  /** The head commit in the event of the label: this one is deployed, never "the newest". */
  readonly commit: string;
}
