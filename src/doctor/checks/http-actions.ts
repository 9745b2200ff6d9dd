import { messageOf } from "../../runner/errors.ts";
import type { HttpResponse } from "../../system/http.ts";
import { type Check, type Context, isLoopback } from "../context.ts";
import { error, NotChecked, ok, type Verdict } from "../finding.ts";

const WHY = "Webhooks, sign-in of apps that issue their own tokens and every other HTTP action are not reached.";
const FIX = "Publish the backend's site port (3211 by default) under a host name of its own, and set site-url to it.";

/** What answers at the site address is the port of the HTTP actions, not the API and not something else. */
export const httpActions: Check = {
  id: "http-actions",
  async run(context) {
    await context.facts.reached();
    const site = await context.facts.site();
    if (context.siteUrl === undefined && isLoopback(site) && !isLoopback(context.url)) {
      throw new NotChecked("site-url is not set, and the backend names an address of its own machine");
    }
    return [await judge(site, context)];
  },
};

async function judge(site: string, { http, url, facts }: Context): Promise<Verdict> {
  let version: HttpResponse;
  try {
    version = await http.request(`${site}/version`);
  } catch (failure) {
    return error(`HTTP actions cannot be reached: ${messageOf(failure)}.`, WHY, FIX);
  }
  const { location } = version.headers;
  if (version.status >= 300 && version.status < 400 && location !== undefined) {
    const to = URL.canParse(location, site) ? new URL(location, site).origin : "elsewhere";
    return error(`${site} redirects to ${to}.`, "Webhooks are not sent again to another address.", `Use ${to}.`);
  }
  if (version.status !== 200 || /^\s*</.test(version.text())) {
    const what = `${site} answers GET /version with ${version.status}, as no port of HTTP actions does.`;
    return error(what, WHY, FIX);
  }
  const name = await http.request(`${site}/instance_name`).catch(() => undefined);
  const known = await facts.instanceName();
  if (site === url || (name?.status === 200 && known !== undefined && name.text().trim() === known)) {
    return error(`${site} is the port of the API, not that of the HTTP actions.`, WHY, FIX);
  }
  return ok(`HTTP actions answer at ${site}.`);
}
