import { describe, expect, it } from "vitest";
import {
  type BackupSettings,
  compareVariables,
  describeVariables,
  fingerprintOf,
  newFingerprintKey,
  parseSettings,
  settingsBytes,
} from "../../../src/backup/settings.ts";
import { ActionError } from "../../../src/runner/errors.ts";
import { sampleManifest } from "./support.ts";

const ID = sampleManifest().id;
const settings = (more: Partial<BackupSettings> = {}): BackupSettings => ({
  id: ID,
  instanceName: "convex-self-hosted",
  origins: { cloud: "https://api.example.com", site: "https://site.example.com" },
  fingerprintKey: newFingerprintKey(),
  variables: new Map([
    ["PEM", "-----BEGIN\n\r\n\u2028\"'=#"],
    ["__proto__", "x"],
    ["EMPTY", ""],
  ]),
  ...more,
});

describe("settings", () => {
  it("come back byte for byte", () => {
    const all = settings();
    expect(parseSettings(settingsBytes(all), ID)).toEqual(all);
    const few = settings({ origins: undefined, variables: undefined });
    expect(parseSettings(settingsBytes(few), ID)).toEqual(few);
  });

  it("of another backup, or damaged ones, are refused without a value in the text", () => {
    const text = settingsBytes(settings({ variables: new Map([["A", "sentinel-value"]]) })).toString();
    for (const bad of [
      text.replace(ID, "2026-11-22T03-00-04Z-00000000"),
      text.replace('"version":1', '"version":2'),
      text.replace('"sentinel-value"', '["sentinel-value"]'),
      text.slice(0, -2),
      text.replace(/"fingerprintKey":"[^"]+"/, '"fingerprintKey":"sentinel-value"'),
    ]) {
      try {
        parseSettings(Buffer.from(bad), ID);
        expect.unreachable(bad);
      } catch (error) {
        expect(error).toBeInstanceOf(ActionError);
        expect((error as ActionError).code).toBe("backup-damaged");
        expect((error as ActionError).text).not.toContain("sentinel-value");
      }
    }
  });
});

describe("fingerprints", () => {
  it("depend on key, name and value", () => {
    const [key, other] = [newFingerprintKey(), newFingerprintKey()];
    const own = fingerprintOf(key, "A", "1");
    expect(own).toMatch(/^[0-9a-f]{64}$/);
    expect(fingerprintOf(key, "A", "1")).toBe(own);
    expect(
      new Set([own, fingerprintOf(other, "A", "1"), fingerprintOf(key, "B", "1"), fingerprintOf(key, "A", "2")]).size,
    ).toBe(4);
    expect(fingerprintOf(key, "A", "\0x")).not.toBe(fingerprintOf(key, "A\0", "x"));
  });

  it("tell which variables differ, by name", () => {
    const key = newFingerprintKey();
    const then = new Map([
      ["A", "1"],
      ["B", "2"],
      ["GONE", "3"],
    ]);
    const now = new Map([
      ["A", "1"],
      ["B", "other"],
      ["NEW", "4"],
    ]);
    const manifest = (variables = describeVariables(then, key)) =>
      sampleManifest({ env: { values: false, variables } });
    expect(compareVariables(manifest(), key, now)).toEqual({
      missing: ["GONE"],
      added: ["NEW"],
      changed: ["B"],
      valuesUnknown: false,
    });
    expect(compareVariables(manifest(describeVariables(then, undefined)), undefined, now)).toEqual({
      missing: ["GONE"],
      added: ["NEW"],
      changed: [],
      valuesUnknown: true,
    });
    expect(JSON.stringify(describeVariables(then, undefined))).toBe('[{"name":"A"},{"name":"B"},{"name":"GONE"}]');
  });
});
