/** What main.ts has set up, as the tests see it: one JSON value in the environment. */
export interface World {
  /** Everything that the tests write goes below it. */
  readonly scratch: string;
  /** The action as a user gets it: action.yml and dist/, its catalogue's image digest replaced by the stand-in's. */
  readonly action?: string;
  /** A folder first on PATH: node 24 and act. */
  readonly bin: string;
  readonly image: {
    /** `ghcr.io/get-convex/convex-backend`: a registry of the sandbox with TLS, open to all. */
    readonly repository: string;
    /** Tag of the release that the catalogue pins; also the revision label. */
    readonly commit: string;
    readonly digest: string;
    /** A second build, which no catalogue knows. */
    readonly other: { readonly commit: string; readonly digest: string };
    /** A repository that has the other build under the tag `commit`. */
    readonly moved: string;
    /** What act runs jobs in that are to run in a container: bash, curl, node. */
    readonly base: string;
  };
  /** A registry that wants a login. */
  readonly locked: { readonly repository: string; readonly user: string; readonly password: string };
  /** A registry whose certificate nobody trusts. */
  readonly untrusted: string;
  /** `http://127.0.0.1:<port>`; the first path part is the fault, the rest a repository. */
  readonly faultyRegistry: string;
  readonly releases: {
    readonly origin: string;
    readonly path: string;
    /** A release that no catalogue knows, and the one that the catalogue pins. */
    readonly tag: string;
    readonly known: string;
  };
  /** The stand-in as one executable. */
  readonly binary: string;
}

export function world(): World {
  const text = process.env["E2E_WORLD"];
  if (text === undefined) throw new Error("These tests run inside the sandbox: npm run test:e2e");
  return JSON.parse(text) as World;
}
