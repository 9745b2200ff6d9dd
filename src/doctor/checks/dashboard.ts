import { messageOf } from "../../runner/errors.ts";
import type { HttpResponse } from "../../system/http.ts";
import { type Check, type Context, isLoopback } from "../context.ts";
import { error, ok, type Verdict, warning } from "../finding.ts";

const WHY =
  "Who logs in types the admin key into that page: it can be read on the way, and the page itself can be changed to keep it.";

/** The dashboard is not offered without TLS. */
export const dashboard: Check = {
  id: "dashboard",
  async run(context) {
    const { dashboardUrl } = context;
    return dashboardUrl === undefined ? [] : [await judge(dashboardUrl, context)];
  },
};

async function judge(url: string, { http }: Context): Promise<Verdict> {
  let page: HttpResponse;
  try {
    page = await http.request(url);
  } catch (failure) {
    return warning(
      `The dashboard cannot be reached: ${messageOf(failure)}.`,
      "It cannot be told how it is exposed.",
      "Correct dashboard-url, or leave it out where the dashboard is kept from this job on purpose.",
    );
  }
  const toTls = /^https:/.test(page.headers.location ?? "");
  if (url.startsWith("http:") && !isLoopback(url) && !toTls) {
    const fix = "Put it behind a proxy with a certificate, or publish it on 127.0.0.1 alone and use a tunnel.";
    return error(`The dashboard at ${url} is served over plain http.`, WHY, fix);
  }
  if (url.startsWith("https:") && (await plainToo(url, http))) {
    const what = `The dashboard at ${url} is served over plain http too.`;
    return warning(what, WHY, "Redirect http to https at the proxy.");
  }
  return ok(
    isLoopback(url)
      ? `The dashboard is at ${url}, on this machine alone.`
      : `The dashboard at ${url} is served over TLS.`,
  );
}

/** The same host name on port 80. */
async function plainToo(url: string, http: Context["http"]): Promise<boolean> {
  const answer = await http.request(`http://${new URL(url).hostname}`, { timeoutMs: 3000 }).catch(() => undefined);
  return answer?.status === 200;
}
