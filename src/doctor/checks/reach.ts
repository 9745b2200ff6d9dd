import { checkUrlForm } from "../../deployment/reach.ts";
import type { Check } from "../context.ts";
import { error, NotChecked, ok, type Verdict, warning } from "../finding.ts";

const LOST = "Nothing works for clients that use this URL.";

/** The URL is written as clients need it, and what answers `GET /version` there is a backend. */
export const reach: Check = {
  id: "reach",
  async run({ writtenUrl, url, facts }) {
    const form: Verdict[] = checkUrlForm(writtenUrl).findings.map(({ message, hint }) =>
      error(message, "Clients and the CLI put paths behind the URL as it is written; some calls then go astray.", hint),
    );
    const found = await facts.reach();
    if (found === undefined && (await facts.isSitePort())) {
      const fix = "Give the URL of the API (port 3210 by default) as url, and this one as site-url.";
      return [...form, error(`${url} is the port of the HTTP actions, not that of the API.`, LOST, fix)];
    }
    if (found === undefined) return [...form, ok(`${url} answers GET /version as a backend does.`)];
    if (found.code === "backend-tls") {
      if (form.length > 0) return form;
      throw new NotChecked("the TLS connection fails");
    }
    if (found.code === "backend-route-missing" && (await apiAnswers(facts))) {
      const why = "Health checks of proxies and monitors ask /version.";
      return [
        ...form,
        warning(found.message, why, "Let the proxy pass on all paths of the host name, not /api alone."),
      ];
    }
    return [...form, error(found.message, LOST, found.hint)];
  },
};

async function apiAnswers(facts: { key(): Promise<unknown> }): Promise<boolean> {
  return await facts.key().then(
    () => true,
    () => false,
  );
}
