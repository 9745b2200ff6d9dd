/** The bundles against people who control an input, a branch's name, or the server that is asked. See docs/threat-model.md. */
import { readFileSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { Job, root, type StepResult } from "../support/job.ts";
import { scratch } from "../support/scratch.ts";

const LONG = { timeout: 240_000 };
const KEY = `production|${"01".repeat(40)}`;

async function step(entry: string, inputs: Readonly<Record<string, string>>, env: Record<string, string> = {}) {
  const workspace = await scratch("hostile");
  await mkdir(join(workspace, "convex"));
  await writeFile(join(workspace, "package.json"), '{ "dependencies": { "convex": "1.48.0" } }');
  const job = await Job.create(workspace);
  onTestFinished(() => job.remove());
  const result = await job.action(entry, { inputs, env });
  return { result, files: await readdir(workspace) };
}

const codeOf = (result: StepResult): string | undefined => /^::error[^:]*::\[([a-z0-9-]+)\]/m.exec(result.log)?.[1];

/** What a shell would carry out, an option parser take for an option, a path leave the folder by, a runner obey. */
const HOSTILE =
  "--help=../../../etc/passwd$(touch pwned) `touch pwned`; touch pwned & touch pwned | touch pwned\n" +
  "touch pwned\n\"' || touch pwned #%0A::set-output name=url::x\n::set-output name=url::x";

/** Inputs of an action, and what they are otherwise, so that each hostile one is reached. */
const ACTIONS: readonly (readonly [string, string, Record<string, string>])[] = [
  [".", "start", { runtime: "binary", "binary-path": "/nonexistent/backend", port: "0", "site-port": "0" }],
  ["deploy", "deploy", { url: "http://127.0.0.1:9", "admin-key": KEY }],
  ["doctor", "doctor", { url: "http://127.0.0.1:9", "admin-key": KEY }],
  ["project", "project", {}],
  ["issue", "issue", { key: "a", title: "b", "github-token": "ghs_0123456789" }],
];

describe.each(ACTIONS)("inputs of %s that are scripts, options and paths", (folder, entry, given) => {
  const { inputs } = parse(readFileSync(join(root, folder, "action.yml"), "utf8")) as {
    inputs: Record<string, unknown>;
  };

  it("are never carried out, and never end in a defect", LONG, async () => {
    const branch = "a$(touch\tpwned);`touch\tpwned`";
    const env = { GITHUB_REF_NAME: branch, GITHUB_HEAD_REF: branch, GITHUB_API_URL: "http://127.0.0.1:9" };
    const queue = Object.keys(inputs);
    const worker = async (): Promise<void> => {
      for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
        const { result, files } = await step(entry, { ...given, [name]: HOSTILE }, env);
        expect(files.sort(), name).toEqual(["convex", "package.json"]);
        expect(codeOf(result), `${name}\n${result.log}`).not.toBe("internal");
        expect(result.log, name).not.toMatch(/^\s*::set-output/m);
      }
    };
    await Promise.all([worker(), worker(), worker()]);
  });
});

/** Starts a server that answers everything in one way, and gives its origin. */
async function hostileServer(answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(answer as never);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const COMMANDS =
  "\n::add-mask::e\n::set-output name=ok::true\n  ::error::theirs\r::warning::theirs\n##[add-path]/tmp/evil\u001b[2J\u0000";

/** Lines that a runner would obey, and that are none of the action's own. */
function obeyed(log: string): string[] {
  let word: string | undefined;
  return log.split(/[\r\n]/).filter((line) => {
    if (word !== undefined) {
      if (line === `::${word}::`) word = undefined;
      return false;
    }
    word = /^::stop-commands::(.+)$/.exec(line)?.[1];
    if (/^\s*::(error|warning|notice|debug|group|add-mask|save-state)[ :]/.test(line)) {
      return /^\s*::(add-mask::e$|(error|warning)::theirs)/.test(line);
    }
    return /^\s*::(?!endgroup::|stop-commands::)/.test(line) || line.includes("##[");
  });
}

describe("a backend that is none", () => {
  const BODIES: readonly (readonly [string, string, string])[] = [
    ["workflow commands and control characters", "text/plain", COMMANDS],
    ["the same as JSON", "application/json", JSON.stringify({ code: COMMANDS, message: COMMANDS, value: COMMANDS })],
    ["HTML", "text/html", `<html><script>alert(1)</script>${COMMANDS}</html>`],
  ];

  it.each(BODIES)("answers %s: nothing of it is obeyed, nor is it markup", LONG, async (_, type, body) => {
    for (const status of [200, 500]) {
      const url = await hostileServer((_request, response) => {
        response.writeHead(status, { "content-type": type });
        response.end(body);
      });
      for (const entry of ["doctor", "deploy"]) {
        const { result } = await step(entry, {
          url,
          "admin-key": KEY,
          ...(entry === "doctor" ? { "site-url": url } : {}),
        });
        expect(result.exitCode).toBe(1);
        expect(codeOf(result), result.log).not.toBe("internal");
        expect(obeyed(result.log)).toEqual([]);
        expect(result.summary).not.toContain("<script");
      }
    }
  });

  it("answers without end: it is given up, in flat memory", LONG, async () => {
    const block = Buffer.alloc(1024 * 1024, "x");
    let sent = 0;
    const url = await hostileServer((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && sent < 4096 && response.write(block)) sent += 1;
      };
      response.writeHead(200);
      response.on("drain", more);
      more();
    });
    const { result } = await step("doctor", { url, "admin-key": KEY, "site-url": url });
    expect(result.exitCode).toBe(1);
    expect(codeOf(result)).toBe("doctor-findings");
    expect(sent).toBeLessThan(4096);
  });

  it("answers never: the doctor ends all the same", LONG, async () => {
    const url = await hostileServer(() => undefined);
    const { result } = await step("doctor", { url, "admin-key": KEY, "site-url": url });
    expect(codeOf(result), result.log).toBe("doctor-findings");
  });
});

describe("the token for GitHub", () => {
  it("goes to the API's own address, and not along a redirect to another", LONG, async () => {
    const seen: string[] = [];
    const elsewhere = await hostileServer((request, response) => {
      seen.push(String(request.headers.authorization));
      response.writeHead(200, { "content-type": "application/json" });
      response.end("[]");
    });
    const api = await hostileServer((request, response) => {
      response.writeHead(302, { location: `${elsewhere}${request.url}` });
      response.end();
    });
    await step("issue", { key: "a", title: "b", "github-token": "ghs_sentinel0123" }, { GITHUB_API_URL: api });
    expect(seen.filter((value) => value.includes("sentinel"))).toEqual([]);
  });
});
