import { describe, expect, it } from "vitest";
import type { ContainerEntry } from "../../../../src/backend/docker/containers.ts";
import { LABEL, type Labels } from "../../../../src/backend/docker/labels.ts";
import { checkClaims } from "../../../../src/preview/docker/claims.ts";
import type { Found } from "../../../../src/preview/docker/found.ts";
import { namesOf, ownerLabels } from "../../../../src/preview/docker/names.ts";
import type { PreviewSpec } from "../../../../src/preview/target.ts";

const spec: PreviewSpec = {
  name: "web",
  repository: "acme/app",
  number: 7,
  instanceName: "web",
  instanceSecret: "5e".repeat(32),
  backendEnv: {},
  isolated: false,
  origins: { cloud: "https://web.preview.example.com", site: "https://web-site.preview.example.com" },
};

function container(repository: string, name: string, number: number | undefined, labels: Labels = {}): ContainerEntry {
  const names = namesOf(repository, name);
  return {
    id: names.id,
    name: names.id,
    image: "convex",
    labels: { ...ownerLabels(names, number), ...labels },
    running: true,
    state: "running",
    created: new Date(0),
    publicPorts: [],
    networks: [],
  };
}

const found = (...containers: ContainerEntry[]): Found => ({ preview: "web", containers, volumes: [], networks: [] });
const check = (what: Found, others: readonly ContainerEntry[] = [], given: Partial<PreviewSpec> = {}): unknown => {
  try {
    checkClaims({ ...spec, ...given }, what, others, "ssh://preview.example.com");
    return undefined;
  } catch (error) {
    return error;
  }
};

describe("a preview's name", () => {
  it("is its own, and free where nothing is there", () => {
    expect(check(found())).toBeUndefined();
    expect(check(found(container("acme/app", "web", 7)))).toBeUndefined();
    const { number: _, ...branch } = spec;
    expect(checkClaims(branch, found(container("acme/app", "web", undefined)), [], "here")).toBeUndefined();
  });
  it.each([
    ["another pull request", 3, "pull request 3"],
    ["a branch", undefined, "a branch"],
  ])("is not that of %s", (_, number, said) => {
    expect(check(found(container("acme/app", "web", number)))).toMatchObject({
      code: "preview-shared",
      message: expect.stringContaining(`is that of ${said}, and this run is for pull request 7`),
      hint: expect.stringContaining("command: down with name: web"),
    });
  });
});

describe("a preview's host names", () => {
  const claims = (repository: string, name: string, cloud: string, site = `${cloud}.site`): ContainerEntry =>
    container(repository, name, 7, { [LABEL.cloudOrigin]: cloud, [LABEL.siteOrigin]: site });
  it.each<[string, ContainerEntry, Partial<PreviewSpec>]>([
    ["the same in another repository", claims("acme/secret", "web", "https://web.preview.example.com"), {}],
    ["another's API as ours for HTTP actions", claims("acme/app", "x", "https://web-site.preview.example.com"), {}],
    [
      "another's API as our dashboard",
      claims("acme/secret", "web-dashboard", "https://web-dashboard.preview.example.com"),
      { dashboardOrigin: "https://web-dashboard.preview.example.com" },
    ],
  ])("are refused: %s", (_, other, given) => {
    const error = check(found(), [other], given);
    expect(error).toMatchObject({ code: "preview-host-taken", message: expect.stringContaining(other.name) });
    expect(String(error)).not.toContain("acme/secret");
  });
  it("are no matter where they differ, or where ports decide", () => {
    const [other, same] = [
      claims("acme/other", "web", "https://web-other.preview.example.com"),
      claims("acme/other", "web", "https://web.preview.example.com"),
    ];
    expect(check(found(), [other])).toBeUndefined();
    const { origins: _, ...ports } = spec;
    expect(checkClaims(ports, found(), [same], "here")).toBeUndefined();
  });
});
