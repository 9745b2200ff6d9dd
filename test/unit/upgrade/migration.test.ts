import { describe, expect, it } from "vitest";
import type { RunningBackend } from "../../../src/backend/backend.ts";
import { readMigration, waitForMigration } from "../../../src/upgrade/migration.ts";
import { collectLog, jumpingClock } from "../deployment/support.ts";

const line = (text: string): string => `2026-11-23T10:00:00.000000Z  INFO model::migrations: ${text}`;
const upgraded = [
  line("Attempting migration"),
  line("Migrating to 125"),
  "2026-11-23T10:00:00.000000Z  WARN migrations_model: Executing Migration 125/126. Wait for log line 'Migrated 125'",
  line("Migrated 125"),
  line("Migrating to 126"),
  line("Migrated 126"),
  line("db metadata version up to date at 126"),
  line("Migration complete"),
];

describe("a migration in the log", () => {
  it("is told by its steps and the version that it led to", () => {
    expect(readMigration(upgraded)).toEqual({ steps: [125, 126], version: 126 });
  });

  it("of data that are new already has no steps", () => {
    expect(readMigration([line("Attempting migration"), ...upgraded.slice(-2)])).toEqual({ steps: [], version: 126 });
  });

  it.each([1, 3, 5, 7])("is not over after %d lines", (count) => {
    expect(readMigration(upgraded.slice(0, count))).toBeUndefined();
  });

  it("that goes back is refused, although the backend calls it complete", () => {
    const text = "persisted db metadata version is ahead at 128, this binary is at 124";
    expect(() => readMigration([line(text), line("Migration complete")])).toThrow(/version 128.*124 at most/);
  });

  it("that failed is told with the step where it did", () => {
    const lines = [...upgraded.slice(0, 2), line("Migration worker failed, sleeping 60s: something")];
    expect(() => readMigration(lines)).toThrow(/step to version 125/);
  });
});

describe("the wait for it", () => {
  const backendWith = (logs: () => string[]): RunningBackend => ({
    url: "",
    siteUrl: "",
    cloudOrigin: "",
    siteOrigin: "",
    ended: new Promise(() => undefined),
    logs: async () => logs(),
    detach: () => undefined,
  });
  const depsWith = () => {
    const lines = collectLog();
    const clock = jumpingClock();
    return { lines, deps: { log: lines.log, clock } as never };
  };

  it("ends with the line, however late it comes, and tells where it is meanwhile", async () => {
    let asked = 0;
    const backend = backendWith(() => upgraded.slice(0, ++asked < 30 ? 2 : undefined));
    const { lines, deps } = depsWith();
    expect(await waitForMigration(backend, 600_000, deps)).toMatchObject({ steps: [125, 126], version: 126 });
    expect(lines.all.some((text) => text.startsWith("info: Migrating to version 125 ("))).toBe(true);
  });

  it("ends with its limit, and says how far it came", async () => {
    const { deps } = depsWith();
    const waiting = waitForMigration(
      backendWith(() => upgraded.slice(0, 5)),
      10_000,
      deps,
    );
    await expect(waiting).rejects.toMatchObject({ code: "upgrade-migration-timeout" });
    await expect(waiting).rejects.toThrow(/within 10 s; it was at the step to version 126/);
  });
});
