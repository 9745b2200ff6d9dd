import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { releases } from "../../src/backend/pins.ts";

const root = resolve(import.meta.dirname, "../..");

interface Preset {
  readonly customManagers: readonly {
    readonly matchStrings: readonly string[];
    readonly managerFilePatterns: readonly string[];
    readonly extractVersionTemplate: string;
    readonly versioningTemplate: string;
  }[];
}

const preset = JSON.parse(readFileSync(join(root, "renovate/convex-backend.json"), "utf8")) as Preset;

it("the preset finds releases where workflows pin them, and nothing else that is called a version", () => {
  const [manager] = preset.customManagers;
  const text =
    "      node-version: 24\n      version: 2026-09-28-5c7cb5b\n      backend-version: '2026-10-06-a3538c6'\n      version: latest\n";
  const found = [...text.matchAll(new RegExp(manager?.matchStrings[0] ?? "", "g"))].map(
    ({ groups }) => groups?.["currentValue"],
  );
  expect(found).toEqual(["2026-09-28-5c7cb5b", "2026-10-06-a3538c6"]);
  expect(".github/workflows/test.yml").toMatch(new RegExp(manager?.managerFilePatterns[0]?.slice(1, -1) ?? ""));
});

it("the preset reads every release of the catalogue, and its tag", () => {
  const [manager] = preset.customManagers;
  for (const { name } of releases()) {
    expect(name).toMatch(new RegExp(manager?.versioningTemplate.replace(/^regex:/, "") ?? ""));
    expect(`precompiled-${name}`).toMatch(new RegExp(manager?.extractVersionTemplate ?? ""));
  }
});
