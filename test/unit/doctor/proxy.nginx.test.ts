import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Standin, startStandin } from "../../standin/standin.ts";
import { Authority } from "../../support/authority.ts";
import { startNginx } from "../../support/nginx.ts";
import { at, findingsOf, of, setOrigin, trouble } from "./support.ts";

let standin: Standin;
let authority: Authority;
beforeAll(async () => {
  authority = new Authority();
  standin = await startStandin({ metrics: false });
});
afterAll(async () => {
  authority[Symbol.dispose]();
  await standin.stop();
});

const UPGRADE =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; proxy_set_header Host $host;';
const to = (url: string, more = UPGRADE): string => `location / { proxy_pass ${url}; ${more} }`;
const TLS = "ssl_certificate $DIR/certificate.pem; ssl_certificate_key $DIR/key.pem;";

/** What is found behind one server of nginx; the backend says that it is there. */
async function behind(server: string) {
  await using proxy = await startNginx(server);
  const url = `http://127.0.0.1:${proxy.port}`;
  await setOrigin(standin, "convexCloud", url);
  return await findingsOf({ ...at(standin), url });
}

describe("a proxy", () => {
  it("as it should be is not blamed", async () => {
    expect(trouble(await behind(to(standin.url)))).toEqual([]);
  });
  it("refuses the websocket upgrade", async () => {
    const findings = await behind(to(standin.url, ""));
    expect(trouble(findings)).toEqual(["error websocket"]);
    expect(of(findings, "websocket")[0]?.what).toContain("answered with 400");
    expect(of(findings, "websocket")[0]?.fix).toContain("proxy_http_version 1.1");
  });
  it("does not know the path of the websocket", async () => {
    const findings = await behind(`location ~ /sync$ { return 404; } ${to(standin.url)}`);
    expect(trouble(findings)).toEqual(["error websocket"]);
    expect(of(findings, "websocket")[0]?.what).toContain("answered with 404");
  });
  it("never answers the upgrade", async () => {
    await using silent = await startSilent();
    const findings = await behind(`location ~ /sync$ { proxy_pass ${silent.url}; ${UPGRADE} } ${to(standin.url)}`);
    expect(trouble(findings)).toEqual(["error websocket"]);
  });
  it("strips the header Authorization", async () => {
    const findings = await behind(to(standin.url, `${UPGRADE} proxy_set_header Authorization "";`));
    expect(trouble(findings)).toEqual(["error authorization"]);
  });
  it("puts a login of its own into the header", async () => {
    const findings = await behind(to(standin.url, `${UPGRADE} proxy_set_header Authorization "Basic eDp5";`));
    expect(trouble(findings)).toEqual(["error authorization"]);
  });
  it("passes on /api alone", async () => {
    const findings = await behind(
      `location /api/ { proxy_pass ${standin.url}; ${UPGRADE} } location / { return 404; }`,
    );
    // The origin leads to a place that hides whose it is, too.
    expect(trouble(findings)).toEqual(["warning reach", "warning instance"]);
  });
  it("has nothing behind it, redirects or answers with a page", async () => {
    const servers = [
      to("http://127.0.0.1:9"),
      "return 301 https://convex.example.com$request_uri;",
      'default_type text/html; location / { return 200 "<html></html>"; }',
    ];
    for (const server of servers) expect(trouble(await behind(server)), server).toContain("error reach");
  });
});

describe("TLS", () => {
  const served = async (files: Readonly<Record<string, string>>, caFile: string | undefined) => {
    await using proxy = await startNginx(`${TLS} ${to(standin.url)}`, { tls: true, files });
    const url = `https://127.0.0.1:${proxy.port}`;
    await setOrigin(standin, "convexCloud", url);
    return await findingsOf({ ...at(standin), url, caFile });
  };

  it("of an authority of one's own is good with ca-file, the websocket too", async () => {
    const findings = await served(authority.issue("IP:127.0.0.1", 90), authority.caFile);
    expect(trouble(findings), JSON.stringify(findings, null, 1)).toEqual([]);
    expect(of(findings, "tls")[0]?.what).toContain("is good until");
  });
  it("of that authority is refused without it", async () => {
    const findings = await served(authority.issue("IP:127.0.0.1", 90), undefined);
    expect(trouble(findings)).toEqual(["error tls"]);
    expect(of(findings, "tls")[0]?.what).toContain("not trusted here");
  });
  it("is for another name", async () => {
    const findings = await served(authority.issue("DNS:other.example", 90), authority.caFile);
    expect(trouble(findings)).toEqual(["error tls"]);
    expect(of(findings, "tls")[0]?.what).toContain("DNS:other.example");
  });
  it("has expired, is told together with a wrong name", async () => {
    const findings = await served(authority.issue("IP:127.0.0.1", -1), authority.caFile);
    expect(trouble(findings)).toEqual(["error tls"]);
    expect(of(findings, "tls")[0]?.what).toContain("expired on");
    const both = await served(authority.issue("DNS:other.example", -1), authority.caFile);
    expect(trouble(both)).toEqual(["error tls", "error tls"]);
  });
  it("expires soon", async () => {
    const findings = await served(authority.issue("IP:127.0.0.1", 5), authority.caFile);
    expect(trouble(findings)).toEqual(["warning tls"]);
  });
  it("is self-signed", async () => {
    const findings = await served(authority.selfSigned("IP:127.0.0.1"), undefined);
    expect(trouble(findings)).toEqual(["error tls"]);
    expect(of(findings, "tls")[0]?.what).toContain("self-signed");
  });
  it("is not spoken at the port", async () => {
    const findings = await findingsOf({ ...at(standin), url: standin.url.replace("http:", "https:") });
    expect(trouble(findings)).toEqual(["error tls"]);
    expect(of(findings, "tls")[0]?.what).toContain("speaks no TLS");
  });
});

/** Accepts connections and never says anything. */
async function startSilent(): Promise<AsyncDisposable & { url: string }> {
  const { createServer } = await import("node:net");
  const sockets = new Set<import("node:net").Socket>();
  const server = createServer((socket) => sockets.add(socket.on("error", () => {})));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
