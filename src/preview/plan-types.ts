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
    }
  | { readonly action: "down"; readonly name: string; readonly number?: number; readonly why: string }
  | { readonly action: "sweep" }
  /** Nothing is to be done, and that is right: a draft, a pull request without the label. */
  | { readonly action: "skip"; readonly name?: string; readonly number?: number; readonly why: string };
