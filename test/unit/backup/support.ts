import type { Manifest } from "../../../src/backup/manifest.ts";

const sha = (digit: string): string => digit.repeat(64);

/** A manifest with every field. */
export function sampleManifest(more: Partial<Manifest> = {}): Manifest {
  return {
    version: 1,
    id: "2026-11-22T03-00-04Z-3f9c12ab",
    instance: { name: "convex-self-hosted", fingerprint: "0f1e2d3c4b5a6978" },
    startedAt: "2026-11-22T03:00:04.120Z",
    finishedAt: "2026-11-22T03:00:19.004Z",
    backend: { version: "2026-09-28-5c7cb5b" },
    code: { commit: "9fceb02d0ae598e95dc970b74767f19372d61af8", assumed: true },
    action: { version: "1.0.0" },
    encryption: {
      method: "age",
      recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
    },
    objects: [
      { name: "snapshot.zip.age", bytes: 2216, sha256: sha("a"), plain: { bytes: 2000, sha256: sha("b") } },
      { name: "env.json.age", bytes: 616, sha256: sha("c"), plain: { bytes: 400, sha256: sha("d") } },
    ],
    snapshot: {
      timestamp: "1795409831284000000",
      documents: 3,
      files: 1,
      bytes: 2000,
      uncompressedBytes: 9000,
      sha256: sha("b"),
      encoding: "uniform",
      tables: [
        { component: "", name: "messages", documents: 2, bytes: 400, digest: sha("1"), exactValues: true },
        { component: "widget", name: "counters", documents: 1, bytes: 90, digest: sha("2"), exactValues: false },
      ],
      storage: [
        { component: "", files: 1, bytes: 5, digest: sha("3") },
        { component: "widget", files: 0, bytes: 0, digest: sha("0") },
      ],
      findings: [
        { kind: "storage-suffix-table", level: "warning", where: "my_storage", message: "It cannot be restored." },
      ],
    },
    env: {
      values: true,
      variables: [
        { name: "JWKS", fingerprint: sha("e") },
        { name: "OPENAI_API_KEY", fingerprint: sha("f") },
      ],
    },
    ...more,
  };
}

/** One that was made without encryption. */
export function plainManifest(): Manifest {
  const { snapshot, env } = sampleManifest();
  const { bytes, sha256 } = snapshot;
  return sampleManifest({
    encryption: { method: "none" },
    objects: [{ name: "snapshot.zip", bytes, sha256, plain: { bytes, sha256 } }],
    snapshot: { ...snapshot, storage: null, files: 0 },
    env: { values: false, variables: env.variables.map(({ name }) => ({ name })) },
  });
}
