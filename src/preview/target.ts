/**
 * Where previews run, free of any engine's terms, so that another kind of place becomes one more module. Everything a
 * target changes or removes is a preview of this repository; what it does not recognise as ours it never touches.
 */

/** One preview as it should be. */
export interface PreviewSpec {
  /** Unique below the repository, fit for DNS: `pr-123`. */
  readonly name: string;
  /** `owner/name`. */
  readonly repository: string;
  /** Pull request; absent for a preview of a branch. */
  readonly number?: number;
  readonly instanceName: string;
  /** 64 hex digits. Reaches the target without appearing in an argument list or a label. */
  readonly instanceSecret: string;
  /** What backends and browsers call it: `https://pr-123.preview.example.com`; undefined where free ports decide. */
  readonly origins?: { readonly cloud: string; readonly site: string };
  /** Where people find its dashboard; undefined where free ports decide, or without one. */
  readonly dashboardOrigin?: string;
  /** A database server of the user's, which holds a database of this preview's own. */
  readonly postgresUrl?: string;
  /** Further variables of the backend's process. */
  readonly backendEnv: Readonly<Record<string, string>>;
  /** Bytes; undefined is no limit. */
  readonly memory?: number;
  /** Of one core; undefined is no limit. */
  readonly cpus?: number;
  /** A fork's preview has a network of its own that reaches no other preview. */
  readonly isolated: boolean;
}

/** One preview as it was found. */
export interface FoundPreview {
  readonly name: string;
  readonly repository: string;
  readonly number?: number;
  /** The commit of the last `up` that succeeded. */
  readonly commit?: string;
  /** When the last `up` succeeded; undefined when none did. */
  readonly lastUp?: Date;
  readonly created: Date;
  /** Fingerprint of what was deployed then: equal means that nothing has to be pushed. */
  readonly deployed?: string;
  /** After that long without an `up` it goes. */
  readonly ttlMs?: number;
  readonly running: boolean;
  /** What it uses now, in bytes; undefined where the target cannot tell. */
  readonly memoryBytes?: number;
  readonly diskBytes?: number;
  readonly origins?: { readonly cloud: string; readonly site: string };
}

/** What one `apply` did. */
export interface Applied {
  /** `unchanged`: it ran already exactly as wanted. `recreated`: another release or settings, the data kept. */
  readonly outcome: "created" | "recreated" | "started" | "unchanged";
  /** What the backend gives out: those of the spec, or what free ports made of them. */
  readonly origins: { readonly cloud: string; readonly site: string };
  readonly dashboardUrl?: string;
  /** As it was before; undefined when nothing was there. */
  readonly before?: FoundPreview;
}

/** How a preview is, seen from where it runs, past proxy and names. */
export interface Health {
  readonly running: boolean;
  /** The backend itself answers there. */
  readonly answers: boolean;
  readonly restarts: number;
  readonly exitCode?: number;
  readonly outOfMemory: boolean;
  /** The newest lines of the backend's log, redacted. */
  readonly log: readonly string[];
}

export interface Target {
  /** As people know it: `ssh://deploy@preview.example.com`. */
  readonly where: string;
  /** Makes it so, keeping the data of one that is there. Safe to repeat after any interruption. */
  apply(spec: PreviewSpec): Promise<Applied>;
  /**
   * Remembers a whole `up`: its commit and its time, from which the time to live counts.
   * @throws ActionError `preview-removed` where another job took it away meanwhile
   */
  confirm(
    name: string,
    facts: { readonly commit: string; readonly ttlMs?: number; readonly deployed?: string },
  ): Promise<void>;
  /** Asked when it does not answer in public. */
  health(name: string): Promise<Health>;
  /**
   * Whether it reaches itself by the names that it gives out, as its own calls will (Node actions, sign-in); a sentence
   * for each that it does not. It must be up.
   */
  selfCheck(
    name: string,
    expected: { readonly instanceName: string; readonly origins: { readonly cloud: string; readonly site: string } },
  ): Promise<readonly string[]>;
  find(name: string): Promise<FoundPreview | undefined>;
  /** Removes everything of one preview; returns what, in the target's words; an empty list when nothing was there. */
  remove(name: string): Promise<readonly string[]>;
  /** All previews of this repository; with `usage`, which takes longer, also what each uses. */
  list(wish: { readonly usage: boolean }): Promise<readonly FoundPreview[]>;
  close(): Promise<void>;
}
