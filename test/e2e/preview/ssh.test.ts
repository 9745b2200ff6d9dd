/** The way to a preview host over SSH: a real server, a real second engine behind it. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPlace } from "../../../src/preview/place.ts";
import { endConnection } from "../../../src/preview/ssh/leftover.ts";
import { folder, realDeps } from "../docker/support.ts";
import { processes } from "../harness/processes.ts";
import { type Remote, remoteAddress, startRemote } from "../harness/remote.ts";

let remote: Remote;
beforeAll(async () => {
  remote = await startRemote();
});
afterAll(async () => {
  await remote.stop();
});

interface Opened {
  readonly temp: string;
  readonly saved: string[];
  readonly deps: ReturnType<typeof realDeps>;
  open(given?: { host?: string; sshKey?: string; knownHosts?: string }): ReturnType<typeof openPlace>;
}

function way(): Opened {
  const temp = folder();
  const deps = realDeps({ RUNNER_TEMP: temp });
  const saved: string[] = [];
  return {
    temp,
    saved,
    deps,
    open: (given = {}) =>
      openPlace(
        { host: remote.host, sshKey: remote.key, knownHosts: remote.knownHosts, ...given },
        (path) => saved.push(path),
        deps,
      ),
  };
}

const sshs = (temp: string): string[] =>
  processes().flatMap(({ command }) => (command.startsWith("ssh ") && command.includes(temp) ? [command] : []));

describe("an engine behind SSH", () => {
  it("is used over one connection, whose files nobody else can read and which are gone after it", async () => {
    const { temp, saved, open } = way();
    const place = await open();
    expect(place).toMatchObject({ host: remoteAddress, engine: { where: remote.host } });
    const [path = ""] = saved;
    expect(statSync(path).mode & 0o777).toBe(0o700);
    for (const name of ["key", "known_hosts"]) expect(statSync(join(path, name)).mode & 0o777).toBe(0o600);
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => (await place.engine.request("tell", "/info")).json() as { ID: string }),
    );
    expect(new Set(answers.map(({ ID }) => ID)).size).toBe(1);
    expect(answers[0]?.ID).toBe(await remote.docker("info", "-f", "{{.ID}}"));
    expect(sshs(temp)).toHaveLength(1);
    await place.close();
    expect(existsSync(path)).toBe(false);
    expect(sshs(temp)).toEqual([]);
  });

  it.each<[string, string, () => Parameters<Opened["open"]>[0]]>([
    [
      "a host key that nobody named",
      "ssh-host-key-unknown",
      () => ({ knownHosts: `elsewhere ${remote.knownHosts.slice(11)}` }),
    ],
    [
      "another host key than the known one",
      "ssh-host-key-changed",
      () => ({
        knownHosts: `${remoteAddress} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n`,
      }),
    ],
    ["a key that the server does not know", "ssh-key-refused", () => ({ sshKey: remote.otherKey })],
    ["a damaged key", "ssh-key-invalid", () => ({ sshKey: remote.key.replace(/\n(.{20})/, "\nAAAA$1") })],
    ["a port where nothing listens", "ssh-unreachable", () => ({ host: `ssh://root@${remoteAddress}:2222` })],
    ["a name that is not known", "ssh-unreachable", () => ({ host: "ssh://root@nowhere.invalid" })],
    ["a user who may not use Docker", "ssh-engine-forbidden", () => ({ host: remote.weakHost })],
    ["a socket that is not there", "ssh-engine-missing", () => ({ host: `${remote.host}/run/nothing.sock` })],
  ])("tells %s apart and leaves nothing", async (_, code, given) => {
    const { temp, open } = way();
    await expect(open(given())).rejects.toMatchObject({ code });
    expect(readdirSync(temp)).toEqual([]);
    expect(sshs(temp)).toEqual([]);
  });

  it("shows the fingerprint of an unknown host key, and the line to add", async () => {
    const { open, deps } = way();
    const shown = await open({ knownHosts: "elsewhere ssh-ed25519 AAAA" }).catch((error: Error) => error.message);
    expect(shown).toMatch(/SHA256:[A-Za-z0-9+/]{43} \(ssh-ed25519\)/);
    expect(deps.lines.join("\n")).toContain(remote.knownHosts.trim());
  });

  it("is left to the post step by a main step that was killed", async () => {
    const { temp, saved, open, deps } = way();
    await open();
    const [path = ""] = saved;
    await endConnection(path, deps);
    expect(existsSync(path)).toBe(false);
    await expect.poll(() => sshs(temp), { timeout: 10_000 }).toEqual([]);
  });
});
