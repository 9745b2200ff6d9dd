/**
 * Libraries that few runs need and that are larger than all the rest of an action: each is a bundle of its own, which
 * is loaded only by those runs, and which all actions share. Only the library: what throws and catches stays in the action's bundle, because a class
 * (`ActionError`) that two bundles hold is two classes. bin/build.ts turns these imports into those of the bundles.
 */
export const loadMysql2 = () => import("../entries/mysql2.ts");
export const loadClientS3 = () => import("../entries/client-s3.ts");
export const loadArtifact = () => import("../entries/artifact.ts");
export const loadGithub = () => import("../entries/github.ts");

/** What is a thread of its own rather than a library: see src/snapshot/inspect-aside.ts. */
export const inspectorUrl = (): URL => new URL("../entries/inspector.ts", import.meta.url);
