import { describe, expect, it } from "vitest";
import { analyse, type CodeFacts, withValues } from "../../../src/deploy/analysis.ts";
import type { Changes } from "../../../src/deploy/changes.ts";
import { type BothSides, foretell } from "../../../src/deploy/foretold.ts";
import { changesTable } from "../../../src/deploy/summary.ts";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { fakeDeps } from "../deployment/support.ts";
import { type App, clientOf, deployApp, newApp, SCHEMA } from "./support.ts";

const LONG = { timeout: 120_000 };

const CRONS = (lines: string): string => `import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";
const crons = cronJobs();
${lines}
export default crons;
`;
const AUTH = (providers: string): string => `export default { providers: [${providers}] };\n`;
const OWN = '{ domain: process.env.CONVEX_SITE_URL, applicationID: "convex" }';
const NAMED = '{ domain: process.env.ISSUER, applicationID: "app" }';
const API = `import { anyApi } from "convex/server";\nexport const api = anyApi;\nexport const internal = anyApi;\n`;

/** What a dry run foretells, and what the deploy after it then tells. */
async function both(
  app: App,
  standin: Standin,
  env = "",
): Promise<{ foretold: Changes; notes: readonly string[]; real: Changes }> {
  const { changes: foretold, notes } = await deployApp(app, standin, { "dry-run": "true", env });
  return { foretold, notes, real: (await deployApp(app, standin)).changes };
}

const parts = ({ tables, crons, authProviders, components, indexes }: Changes) => ({
  tables,
  crons,
  authProviders,
  components,
  indexes,
});

describe("a dry run", () => {
  it("foretells tables, crons and auth providers as the real deploy tells them", LONG, async () => {
    await using standin = await startStandin();
    await clientOf(standin).updateVariables([{ name: "ISSUER", value: "https://issuer.example" }]);
    await using app = await newApp({
      "convex/_generated/api.js": API,
      "convex/crons.ts": CRONS(
        'crons.interval("tick", { minutes: 1 }, internal.rooms.add); crons.daily("night", { hourUTC: 3, minuteUTC: 5 }, internal.rooms.add);',
      ),
      "convex/auth.config.ts": AUTH(`${OWN}, ${NAMED}`),
    });
    const first = await both(app, standin);
    expect(first.foretold.tables).toEqual({ added: ["rooms"], removed: [], changed: [] });
    expect(first.foretold.crons).toEqual({ added: ["night", "tick"], removed: [], changed: [] });
    expect(first.foretold.authProviders?.added).toEqual([
      `${standin.siteUrl} (convex)`,
      "https://issuer.example (app)",
    ]);
    expect(parts(first.foretold)).toEqual(parts(first.real));
    expect(first.notes).toHaveLength(1);

    await app.write(
      "convex/schema.ts",
      SCHEMA.replace("name: v.string()", "name: v.string(), size: v.optional(v.number())").replace(
        "});",
        "  guests: defineTable({ name: v.union(v.string(), v.null()) }),\n});",
      ),
    );
    await app.write(
      "convex/crons.ts",
      CRONS(
        'crons.interval("tick", { minutes: 2 }, internal.rooms.add); crons.cron("noon", "0 12 * * *", internal.rooms.add);',
      ),
    );
    await app.write("convex/auth.config.ts", AUTH(OWN));
    const second = await both(app, standin);
    expect(second.foretold.tables).toEqual({ added: ["guests"], removed: [], changed: ["rooms"] });
    expect(second.foretold.crons).toEqual({ added: ["noon"], removed: ["night"], changed: ["tick"] });
    expect(second.foretold.authProviders).toEqual({
      added: [],
      removed: ["https://issuer.example (app)"],
      changed: [],
    });
    expect(parts(second.foretold)).toEqual(parts(second.real));

    const same = await both(app, standin);
    const none = { added: [], removed: [], changed: [] };
    expect(parts(same.foretold)).toEqual({
      tables: none,
      crons: none,
      authProviders: none,
      components: none,
      indexes: none,
    });
    expect(changesTable(same.foretold)).toBe("Nothing changes.");

    await app.remove("convex/crons.ts");
    await app.remove("convex/auth.config.ts");
    const third = await both(app, standin);
    expect(third.foretold.crons?.removed).toEqual(["noon", "tick"]);
    expect(third.foretold.authProviders?.removed).toEqual([`${standin.siteUrl} (convex)`]);
    expect(parts(third.foretold)).toEqual(parts(third.real));
  });

  it("sees an issuer that changes by its variable alone", LONG, async () => {
    await using standin = await startStandin();
    await clientOf(standin).updateVariables([{ name: "ISSUER", value: "https://old.example" }]);
    await using app = await newApp({ "convex/auth.config.ts": AUTH(NAMED) });
    await deployApp(app, standin);
    const { changes } = await deployApp(app, standin, { "dry-run": "true", env: "ISSUER=https://new.example" });
    expect(changes.authProviders).toEqual({
      added: ["https://new.example (app)"],
      removed: ["https://old.example (app)"],
      changed: [],
    });
  });

  it("takes variables of auth.config for set that the deploy will set", LONG, async () => {
    await using standin = await startStandin();
    await using app = await newApp({ "convex/auth.config.ts": AUTH(NAMED) });
    const inputs = { "dry-run": "true", env: "ISSUER=https://new.example" };
    const { changes, notes } = await deployApp(app, standin, inputs);
    expect(changes.authProviders?.added).toEqual(["https://new.example (app)"]);
    expect(changes.indexes?.added).toEqual(["rooms.by_name"]);
    expect(notes.join()).toContain("did not evaluate auth.config: it reads ISSUER");
    await expect(deployApp(app, standin, { "dry-run": "true" })).rejects.toMatchObject({
      code: "auth-variable-missing",
    });
  });

  it("foretells components, and says what of them it cannot", LONG, async () => {
    await using standin = await startStandin();
    await using app = await newApp();
    await deployApp(app, standin);
    await app.write(
      "convex/widget/convex.config.ts",
      'import { defineComponent } from "convex/server";\nexport default defineComponent("widget");\n',
    );
    await app.write("convex/widget/schema.ts", SCHEMA);
    const config = (uses: string): string =>
      `import { defineApp } from "convex/server";\nimport widget from "./widget/convex.config";\nconst app = defineApp();\n${uses}\nexport default app;\n`;
    await app.write("convex/convex.config.ts", config('app.use(widget); app.use(widget, { name: "second" });'));
    const mounted = await both(app, standin);
    expect(mounted.foretold.components).toEqual({ added: ["second", "widget"], removed: [], changed: [] });
    expect(mounted.foretold.components).toEqual(mounted.real.components);
    expect(mounted.notes.join()).toContain("Of components, tables and crons were not compared");
    await app.write("convex/convex.config.ts", config("app.use(widget);"));
    const unmounted = await both(app, standin);
    expect(unmounted.foretold.components).toEqual({ added: [], removed: ["second"], changed: [] });
    expect(unmounted.foretold.components).toEqual(unmounted.real.components);
  });
});

const facts = (more: Partial<CodeFacts> = {}): CodeFacts => ({
  analysis: { value: {} },
  schema: { value: null },
  crons: { value: {} },
  authProviders: { value: [] },
  ...more,
});
const sides = (more: Partial<BothSides> = {}): BothSides => ({
  live: facts(),
  pushed: facts(),
  variables: { live: new Map(), pushed: new Map() },
  liveModules: [{ path: "convex.config.js", source: "" }],
  ...more,
});

describe("what cannot be foretold", () => {
  it("is not compared, with the reason, and never no change", () => {
    const schema = { value: { tables: [{ tableName: "rooms", documentType: { type: "any" } }] } };
    const old = foretell(sides({ pushed: facts({ schema }), liveModules: [{ path: "rooms.js", source: "" }] }));
    expect(old.tables).toBeNull();
    expect(old.notes).toEqual([
      expect.stringContaining("Tables were not compared: what is live was pushed by a CLI before 1.28"),
    ]);
    const fresh = foretell(sides({ pushed: facts({ schema }), liveModules: [] }));
    expect(fresh.tables?.added).toEqual(["rooms"]);
    const broken = foretell(
      sides({ live: facts({ crons: { problem: "boom" } }), pushed: facts({ authProviders: { problem: "bang" } }) }),
    );
    expect(broken.crons).toBeNull();
    expect(broken.authProviders).toBeNull();
    expect(broken.notes.join(" ")).toContain("Crons were not compared: what is live cannot be loaded here (boom).");
    expect(broken.notes.join(" ")).toContain("what is pushed cannot be loaded here (bang)");
  });

  it("is each part for itself: a module that breaks takes no other with it", async () => {
    const modules = [
      { path: "crons.js", source: "throw new Error('no crons here');" },
      { path: "schema.js", source: "export default { export: () => JSON.stringify({ tables: [] }) };" },
      { path: "auth.config.js", source: "export default { providers: [{ domain: process.env.ISSUER }] };" },
    ];
    const found = await analyse(modules, [], { functions: false }, fakeDeps({ env: process.env }));
    expect(found.crons).toEqual({ problem: "crons.js: no crons here" });
    expect(found.schema).toEqual({ value: { tables: [] } });
    if ("problem" in found.authProviders) throw new Error(found.authProviders.problem);
    expect(JSON.stringify(found.authProviders.value)).toContain("placeholder.invalid");
    const issuer = new Map([["ISSUER", 'https://a.example/"quoted"']]);
    expect(withValues(found.authProviders.value, issuer)).toEqual([{ domain: 'https://a.example/"quoted"' }]);
    expect(withValues(found.authProviders.value, new Map())).toEqual([{ domain: "$ISSUER" }]);
  });

  it("is an issuer that is computed from a variable", async () => {
    const source = "export default { providers: [{ domain: 'https://' + new URL(process.env.ISSUER).host }] };";
    const computed = await analyse(
      [{ path: "auth.config.js", source }],
      [],
      { functions: false },
      fakeDeps({ env: process.env }),
    );
    const variables = {
      live: new Map([["ISSUER", "https://a.example"]]),
      pushed: new Map([["ISSUER", "https://b.example"]]),
    };
    const clear = foretell(sides({ live: computed, pushed: computed, variables }));
    expect(clear.authProviders).toEqual({
      added: ["https://b.example"],
      removed: ["https://a.example"],
      changed: [],
    } as never);
    const host = "export default { providers: [{ domain: new URL(process.env.ISSUER).host }] };";
    const bare = await analyse(
      [{ path: "auth.config.js", source: host }],
      [],
      { functions: false },
      fakeDeps({ env: process.env }),
    );
    const unknown = foretell(sides({ live: bare, pushed: bare, variables }));
    expect(unknown.authProviders).toBeNull();
    expect(unknown.notes.join()).toContain("only the backend can tell");
  });
});
