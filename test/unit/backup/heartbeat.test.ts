import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Heartbeat, type Outcome, readHeartbeatUrl } from "../../../src/backup/heartbeat.ts";
import { Inputs } from "../../../src/runner/inputs.ts";
import { mask } from "../../../src/runner/mask.ts";
import type { Clock } from "../../../src/system/clock.ts";
import { type Http, HttpFault } from "../../../src/system/http.ts";
import { storeDeps } from "../store/support.ts";

const SECRET = "0f6c8a52-77de-4a53-9d13-6d1a1b3c4d5e";
const COMPLETE: Outcome = { kind: "complete", text: "10 documents" };

/** A monitor that answers as told (`0`: it cuts the connection), one answer after another, then 200. */
async function monitor(answers: number[] = []): Promise<{ readonly url: string; readonly seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      seen.push(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`.trimEnd());
      const status = answers.shift() ?? 200;
      if (status === 0) request.socket.destroy();
      else response.writeHead(status, status === 302 ? { location: "/elsewhere" } : {}).end("OK");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function heartbeat(url: string) {
  const deps = { ...storeDeps(), clock: { now: Date.now, sleep: async () => undefined } };
  return { deps, beat: new Heartbeat(new URL(url), deps) };
}

describe("the pings of a run", () => {
  it("are /start, the address itself, and /fail with the reason", async () => {
    const { url, seen } = await monitor();
    const { beat } = heartbeat(`${url}/${SECRET}?create=1`);
    beat.start();
    await beat.end(COMPLETE);
    await beat.end({ kind: "failed", text: "[store-full] no space" });
    expect(seen).toEqual([
      `POST /${SECRET}/start?create=1`,
      `POST /${SECRET}?create=1 10 documents`,
      `POST /${SECRET}/fail?create=1 failed: [store-full] no space`,
    ]);
  });

  it.each(["failed", "partial", "skipped"] as const)("say that a run which is %s is no success", async (kind) => {
    const { url, seen } = await monitor();
    await heartbeat(`${url}/${SECRET}`).beat.end({ kind, text: "why" });
    expect(seen).toEqual([`POST /${SECRET}/fail ${kind}: why`]);
  });

  it("are one plain call on success where nothing may be appended", async () => {
    const { url, seen } = await monitor();
    const { beat } = heartbeat(`${url}/${SECRET}?m=x#plain`);
    beat.start();
    await beat.end({ kind: "failed", text: "why" });
    expect(seen).toEqual([]);
    await beat.end(COMPLETE);
    expect(seen).toEqual([`GET /${SECRET}?m=x`]);
  });

  it("are a status and a message for Uptime Kuma", async () => {
    const { url, seen } = await monitor();
    const { beat } = heartbeat(`${url}/api/push/${SECRET}?status=up&msg=OK&ping=`);
    beat.start();
    await beat.end(COMPLETE);
    await beat.end({ kind: "failed", text: "a & b" });
    expect(seen).toEqual([
      `GET /api/push/${SECRET}?status=up&msg=10+documents&ping=`,
      `GET /api/push/${SECRET}?status=down&msg=failed%3A+a+%26+b&ping=`,
    ]);
  });

  it("are nothing without an address", async () => {
    const beat = new Heartbeat(undefined, storeDeps());
    beat.start();
    await beat.end(COMPLETE);
  });
});

describe("a monitor that fails", () => {
  it.each([
    [[500, 0, 503], 3, "it answers 503"],
    [[404], 1, "it answers 404"],
    [[302], 1, "it redirects (302)"],
    [[0, 0, 0], 3, "ECONNRESET"],
  ])("is a warning that names its host and no more (%j)", async (answers, requests, text) => {
    const { url, seen } = await monitor(answers);
    const { beat, deps } = heartbeat(`${url}/${SECRET}`);
    await beat.end(COMPLETE);
    expect(seen).toHaveLength(requests);
    expect(seen.join()).not.toContain("elsewhere");
    expect(deps.log.lines).toHaveLength(1);
    expect(deps.log.lines[0]).toContain(`warning: heartbeat-url: ${new URL(url).host}`);
    expect(deps.log.lines[0]).toContain(text);
    expect(deps.log.lines[0]).not.toContain(SECRET);
  });

  it("is asked again when the fault may pass", async () => {
    const { url, seen } = await monitor([503, 0]);
    const { beat, deps } = heartbeat(`${url}/${SECRET}`);
    await beat.end(COMPLETE);
    expect(seen).toHaveLength(3);
    expect(deps.log.lines).toEqual([]);
  });

  it("is told of the start once only", async () => {
    const { url, seen } = await monitor([503]);
    const { beat } = heartbeat(`${url}/${SECRET}`);
    beat.start();
    await beat.end(COMPLETE);
    expect(seen.map((line) => line.split(" ")[1])).toEqual([`/${SECRET}/start`, `/${SECRET}`]);
  });
});

describe("a monitor that hangs", () => {
  /** Its time passes in requests and sleeps alone. */
  function hanging() {
    let now = 0;
    const asked: string[] = [];
    const http: Http = {
      request: async (url, { timeoutMs = 0, signal } = {}) => {
        asked.push(new URL(url).pathname);
        if (signal !== undefined) {
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          throw signal.reason;
        }
        now += timeoutMs;
        throw new HttpFault("TIMEOUT", "no answer");
      },
      stream: () => Promise.reject(new Error("not asked for")),
    };
    const clock: Clock = {
      now: () => now,
      sleep: async (ms) => {
        now += ms;
      },
    };
    const deps = { ...storeDeps(), http, clock };
    return { deps, asked, beat: new Heartbeat(new URL(`https://monitor.example/${SECRET}`), deps), now: () => now };
  }

  it("costs the end of a run ten seconds, and its beginning none", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const { beat, asked, now, deps } = hanging();
    beat.start();
    const ending = beat.end(COMPLETE);
    await vi.advanceTimersByTimeAsync(2000);
    await ending;
    expect(asked).toEqual([`/${SECRET}/start`, `/${SECRET}`]);
    expect(now()).toBe(10_000);
    expect(deps.log.lines.join("\n")).toMatch(/"start": it had not answered.*\n.*"success": TIMEOUT/);
  });
});

it("sends no secret that was masked, and no novel", async () => {
  const { url, seen } = await monitor();
  mask("hunter2-hunter2");
  await heartbeat(`${url}/${SECRET}`).beat.end({ kind: "failed", text: `key hunter2-hunter2 ${"x".repeat(20_000)}` });
  expect(seen[0]).toContain("key *** xxx");
  expect(seen[0]?.length).toBeLessThan(9000);
});

describe("heartbeat-url", () => {
  const read = (value: string, masked: string[] = []) =>
    readHeartbeatUrl(new Inputs((name) => (name === "heartbeat-url" ? value : "")), (secret) => masked.push(secret));

  it("masks what is secret in it, and leaves words readable", () => {
    const masked: string[] = [];
    read(`https://uptime.example.com/api/v1/heartbeat/${SECRET}?token=abcdefg8`, masked);
    expect(masked).toEqual([SECRET, "abcdefg8"]);
  });

  it("may be left out", () => {
    expect(read("")).toBeUndefined();
  });

  it.each(["hc-ping.com/12345678", "ftp://example.com/12345678", "https://example.com/x#fragment"])(
    "is refused without being shown: %s",
    (value) => {
      expect(() => read(value)).toThrow(
        expect.objectContaining({ code: "input-invalid", message: expect.not.stringContaining("example") }),
      );
    },
  );
});
