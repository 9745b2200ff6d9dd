import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkApart,
  type NameFacts,
  numberIn,
  originsOf,
  parseTemplate,
  previewName,
  pullRequestName,
} from "../../../src/preview/names.ts";

const domain = (value: string) => parseTemplate("domain", value);
const of = (template: string, facts: Partial<NameFacts> = {}, site?: string) =>
  originsOf(domain(template), site === undefined ? undefined : parseTemplate("site-domain", site), {
    name: "pr-12",
    number: 12,
    repository: "Acme/Chat",
    branch: "feat/login",
    ...facts,
  });

/** What DNS and browsers take (RFC 1123). */
function validHost(origin: string): boolean {
  const host = new URL(origin).host;
  const labels = host.split(".");
  return (
    origin === `https://${host}` &&
    host.length <= 253 &&
    labels.every((label) => /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label) && label.length <= 63)
  );
}

describe("the name of a preview", () => {
  it("is that of its pull request, or the branch's where DNS allows it", () => {
    expect([pullRequestName(12), numberIn("pr-12"), numberIn("pr-012"), numberIn("pr-12-web")]).toEqual([
      "pr-12",
      12,
      undefined,
      undefined,
    ]);
    expect(["main", "feature-1", "v2"].map(previewName)).toEqual(["main", "feature-1", "v2"]);
  });
  it("has a hash wherever something was changed or cut, or where it would be another's", () => {
    for (const branch of [
      "feat/login",
      "Main",
      "a--b",
      "-a",
      "ü",
      "a.b",
      "x".repeat(41),
      "pr-12",
      "pr",
      "pr-12-site",
    ]) {
      expect(previewName(branch), branch).toMatch(/(^|-)[0-9a-f]{10}$/);
    }
    expect(previewName("feat/login")).toMatch(/^feat-login-[0-9a-f]{10}$/);
    expect(previewName(previewName("feat/login"))).not.toBe(previewName("feat/login"));
  });
  it("is always valid, stable, and never that of another text", () => {
    const near = fc.array(fc.constantFrom("a", "A", "-", "/", "_", ".", "site", "pr", "1", "é"), { maxLength: 12 });
    const text = fc.oneof(
      fc.string({ unit: "grapheme" }),
      near.map((parts) => parts.join("")),
      fc.string({ minLength: 35, maxLength: 200 }),
    );
    fc.assert(
      fc.property(text, text, (one, other) => {
        const name = previewName(one);
        expect(name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
        expect(name.length).toBeLessThanOrEqual(40);
        expect(name).not.toMatch(/^pr-\d+$|-site$/);
        expect(previewName(one)).toBe(name);
        if (one !== other) expect(previewName(other)).not.toBe(name);
      }),
    );
  });
});

describe("the origins", () => {
  it("are HTTPS, the HTTP actions with -site after the name", () => {
    expect(of("{name}.preview.example.com")).toEqual({
      cloud: "https://pr-12.preview.example.com",
      site: "https://pr-12-site.preview.example.com",
    });
    expect(of("{number}.Example.com")).toEqual({
      cloud: "https://12.example.com",
      site: "https://12-site.example.com",
    });
    expect(of("{name}-{repo}.example.com")).toEqual({
      cloud: "https://pr-12-chat.example.com",
      site: "https://pr-12-site-chat.example.com",
    });
    expect(of("{name}.{owner}.example.com").site).toBe("https://pr-12-site.acme.example.com");
  });
  it("of the HTTP actions are at site-domain where that is given", () => {
    expect(of("{name}.api.example.com", {}, "{name}.site.example.com").site).toBe("https://pr-12.site.example.com");
  });
  it("say where a branch was changed to fit", () => {
    expect(of("{name}-{branch}.example.com").cloud).toMatch(
      /^https:\/\/pr-12-feat-login-[0-9a-f]{10}(-[0-9a-f]{10})?\.example\.com$/,
    );
  });
  it("refuse {number} where there is none, and a host too long", () => {
    const { number: _, ...branch } = { name: "main", number: undefined, repository: "a/b", branch: "main" };
    expect(() => originsOf(domain("{number}.example.com"), undefined, branch)).toThrow("belongs to no pull request");
    const long = `{name}.${"abcdefghi.".repeat(25)}com`;
    expect(() => of(long)).toThrow("DNS allows 253");
  });
  it.each([
    ["https://{name}.example.com", "it is a URL"],
    ["{name}", "it has no dot"],
    ["*.example.com", '"*" cannot be'],
    ["{name}.example.com:8443", "cannot be in a host name"],
    ["{name}.example.com/x", "cannot be in a host name"],
    ["{nmae}.example.com", "{nmae} is not known"],
    ["{name.example.com", '"{" cannot be'],
    ["preview.example.com", "all previews would have one name"],
    ["{branch}.example.com", "all previews would have one name"],
    ["{name}..example.com", "nothing between two dots"],
    ["-{name}.example.com", "a hyphen stands next to"],
    ["{name}-.example.com", "a hyphen stands next to"],
    ["example.{name}", "it must end in a domain"],
    ["{name}.0.0.1", "it must end in a domain"],
    [`{name}${"x".repeat(60)}.example.com`, "leaves no room"],
  ])("are not made from %j", (template, why) => {
    expect(() => domain(template)).toThrow(why);
    try {
      domain(template);
    } catch (error) {
      expect(error).toMatchObject({
        code: "input-invalid",
        hint: expect.stringContaining("{name}.preview.example.com"),
      });
    }
  });
  it("refuse a site-domain that could be another preview's domain", () => {
    const check = (one: string, other: string) => () =>
      checkApart(domain(one), parseTemplate("site-domain", other), other);
    expect(check("{name}.a.com", "{name}.a.com")).toThrow("could get the same name");
    expect(check("{name}.a.com", "{name}-x.a.com")).toThrow("could get the same name");
    expect(check("{name}.a.com", "{name}.b.com")).not.toThrow();
    expect(check("{name}.a.com", "{name}.site.a.com")).not.toThrow();
    expect(check("api.{name}.a.com", "site.{name}.a.com")).not.toThrow();
  });

  const TEMPLATES = [
    "{name}.preview.example.com",
    "{number}.preview.example.com",
    "{name}-{repo}.example.com",
    "{repo}-{name}.example.com",
    "{owner}-{repo}-{name}.example.com",
    "{number}-{owner}-{repo}.example.com",
    "x{name}y{branch}{owner}.{repo}.example.com",
    "{name}{repo}.example.com",
    "{name}.{repo}.{owner}.example.com",
    "{branch}-{number}.example.com",
    `{name}-${"y".repeat(45)}.example.com`,
  ];
  const owner = fc.constantFrom("a", "a-b", "Acme", "pr", "b");
  const repo = fc.constantFrom("c", "b-c", "my.app", "my_app", "site", "site-c", "chat-site", "12-c", "x".repeat(90));
  const branch = fc.oneof(
    fc.constantFrom("main", "a", "a-b", "pr", "pr-1", "pr-1-site", "site", "a/b", "A", "x".repeat(50), "x".repeat(39)),
    fc.string({ minLength: 1, maxLength: 80 }),
  );
  const facts = fc.record({
    owner,
    repo,
    branch,
    number: fc.integer({ min: 1, max: 99 }),
    ofPullRequest: fc.boolean(),
  });

  it.each(TEMPLATES)("of %s are always valid, and no two are the same", (template) => {
    const parsed = domain(template);
    const make = ({
      owner,
      repo,
      branch,
      number,
      ofPullRequest,
    }: typeof facts extends fc.Arbitrary<infer T> ? T : never) => {
      const bound = ofPullRequest || template.includes("{number}");
      const name = bound ? pullRequestName(number) : previewName(branch);
      const made = originsOf(parsed, undefined, {
        name,
        ...(bound ? { number } : {}),
        repository: `${owner}/${repo}`,
        branch,
      });
      // What the template leaves out cannot be told apart: such a domain serves one repository.
      const key = ["name", "number", "owner", "repo", "branch"]
        .filter((part) => template.includes(`{${part}}`))
        .map((part) => ({ name, number, owner: owner.toLowerCase(), repo: repo.toLowerCase(), branch })[part]);
      return { made, key: JSON.stringify(key) };
    };
    fc.assert(
      fc.property(facts, facts, (one, other) => {
        const [left, right] = [make(one), make(other)];
        const all = [left.made.cloud, left.made.site, right.made.cloud, right.made.site];
        expect(all.filter((origin) => !validHost(origin))).toEqual([]);
        expect(new Set(all).size).toBe(left.key === right.key ? 2 : 4);
      }),
      { numRuns: 1000 },
    );
  });
});
