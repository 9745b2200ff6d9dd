/** What one backend is to be, after every input was checked. Nothing in here depends on how it is run. */
export interface BackendSpec {
  /** `[a-z0-9-]+`; part of the admin key (contract 1.3). */
  readonly instanceName: string;
  /** 64 hex digits (contract 1.3). */
  readonly instanceSecret: string;
  /** Address that the ports are published on. */
  readonly bind: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly sitePort: number;
  /** What the backend gives out in URLs; derived from the ports when absent (contract 8.3). */
  readonly cloudOrigin?: string;
  readonly siteOrigin?: string;
  readonly postgresUrl?: string;
  readonly mysqlUrl?: string;
  /** Extra variables of the backend process. */
  readonly backendEnv: Readonly<Record<string, string>>;
  /** Named volume or directory that is kept; absent: nothing survives the job. */
  readonly data?: string;
}

/** How a backend ended. Any end that was not asked for is a failure, whatever its code (contract 1.6). */
export interface Ended {
  /** Exit code; null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The kernel ended it for want of memory, where that is known. */
  readonly outOfMemory: boolean;
}

/** A backend that was started or adopted. */
export interface RunningBackend {
  /** Where this job reaches the API and the HTTP actions, without a trailing slash. */
  readonly url: string;
  readonly siteUrl: string;
  /** What it gives out in URLs. */
  readonly cloudOrigin: string;
  readonly siteOrigin: string;
  /** Resolves once the process or container has ended; never rejects, stays pending as long as it runs. */
  readonly ended: Promise<Ended>;
  /** The newest lines of its log, oldest first, unredacted: never print them before `redact`. */
  logs(count: number): Promise<string[]>;
  /** Stops watching, so that the action's process can end while the backend goes on. */
  detach(): void;
  readonly containerId?: string;
  readonly pid?: number;
  /** `sha256:…` of what really runs. */
  readonly imageDigest?: string;
  /** Label `org.opencontainers.image.revision`. */
  readonly revision?: string;
}

/** What the post step needs to end a backend; written to the state before anything is started. */
export type BackendState =
  | {
      readonly runtime: "docker";
      /** As `connectEngine` takes it again. */
      readonly engine: string;
      /** The name that we chose, known before the container exists. */
      readonly container: string;
      /** Value of our ownership label; a container without it is not ours. */
      readonly owner: string;
      /** A volume of ours that is removed with it. */
      readonly volume?: string;
      readonly keepsData: boolean;
      /** Further containers of ours by name (dashboard). */
      readonly others: readonly string[];
    }
  | {
      readonly runtime: "binary";
      /** Absent as long as the process was not started. */
      readonly pid?: number;
      /** Start time of that process as the system tells it, so that a reused pid is not taken for ours. */
      readonly startTime?: string;
      /** Value of the variable CONVEX_ACTION_OWNER in the process's environment. */
      readonly owner: string;
      readonly directory: string;
      readonly keepsData: boolean;
      readonly logFile: string;
    }
  | { readonly runtime: "service-container"; readonly engine: string; readonly container: string };

/** Saves the state; called before the start and again as more is known. Synchronous: no moment lies between. */
export type SaveState = (state: BackendState) => void;

/** One step of the teardown: each is tried whatever became of the others. */
export interface TeardownStep {
  readonly what: string;
  readonly error?: unknown;
}
