import { describe, expect, it } from "vitest";
import { pullError } from "../../../../src/backend/docker/pull-errors.ts";

// Texts of engine 20.10, as it gave them for a registry with these faults, and of the containerd image store.
const cases = [
  [
    'Head "http://127.0.0.1:5501/v2/get-convex/convex-backend/manifests/mini": no basic auth credentials',
    "registry-unauthorized",
  ],
  ["unauthorized: authentication required", "registry-unauthorized"],
  [
    "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://r/token: 401 Unauthorized",
    "registry-unauthorized",
  ],
  ["denied", "registry-denied"],
  [
    "failed to resolve reference: unexpected status from HEAD request to https://r/v2/x: 403 Forbidden",
    "registry-denied",
  ],
  ["manifest for r.example/a/b:1 not found: manifest unknown: manifest unknown", "image-not-found"],
  [
    "pull access denied for a/b, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
    "registry-denied",
  ],
  ['failed to resolve reference "r.example/a/b:1": r.example/a/b:1: not found', "image-not-found"],
  ["toomanyrequests: You have reached your pull rate limit", "registry-rate-limit"],
  ["unexpected status from HEAD request to https://r/v2/x: 429 Too Many Requests", "registry-rate-limit"],
  ["received unexpected HTTP status: 500 Internal Server Error", "registry-failed"],
  ["received unexpected HTTP status: 503 Service Unavailable", "registry-failed"],
  [
    "error pulling image configuration: download failed after attempts=6: received unexpected HTTP status: 500 Internal Server Error",
    "registry-failed",
  ],
  ['Get "https://r/v2/": x509: certificate signed by unknown authority', "registry-tls"],
  ['Get "https://r/v2/": http: server gave HTTP response to HTTPS client', "registry-tls"],
  ["unexpected EOF", "registry-unreachable"],
  ['Head "http://127.0.0.1:5502/v2/x/manifests/mini": EOF', "registry-unreachable"],
  ['Get "http://127.0.0.1:5999/v2/": dial tcp 127.0.0.1:5999: connect: connection refused', "registry-unreachable"],
  [
    'Get "https://nohost.invalid/v2/": dial tcp: lookup nohost.invalid on 10.0.0.53:53: no such host',
    "registry-unreachable",
  ],
  ["write /var/lib/docker/tmp/GetImageBlob1: no space left on device", "image-pull-failed"],
] as const;

describe("pullError", () => {
  it.each(cases)("%s", (text, code) => {
    const error = pullError("r.example/a/b:1", text, false);
    expect(error.code).toBe(code);
    expect(error.message).toContain("r.example/a/b:1");
    expect(error.message).toContain(text.replace(/\.$/, ""));
  });

  it("is not misled by an image's own name", () => {
    const image = "r.example/denied-404/unauthorized:429";
    expect(pullError(image, `Head "https://r.example/v2/x": ${image}: unexpected EOF`, false).code).toBe(
      "registry-unreachable",
    );
  });

  it("says whether a login was used", () => {
    expect(pullError("r.example/a:1", "unauthorized", true).message).toContain("does not accept the stored login");
    expect(pullError("r.example/a:1", "unauthorized", false).message).toContain("wants a login");
  });
});
