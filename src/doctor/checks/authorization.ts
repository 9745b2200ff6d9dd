import type { Check } from "../context.ts";
import { error, NotChecked, ok } from "../finding.ts";

/** Whether the header that carries keys and tokens gets through the proxy. */
export const authorization: Check = {
  id: "authorization",
  async run({ url, facts }) {
    const state = await facts.key();
    if (state === "malformed" || state === "rejected") throw new NotChecked("there is no admin key to try it with");
    if (state !== "stripped") return [ok("The header Authorization arrives at the backend.")];
    return [
      error(
        `Something in front of ${url} takes the header Authorization away: the admin key is good in a body and missing in the header.`,
        "Deploys go through up to a point, and variables, exports, imports, the dashboard and signed-in users fail.",
        "Let the proxy pass the header on (nginx: proxy_set_header Authorization $http_authorization;), and give this host name no login of the proxy's own.",
      ),
    ];
  },
};
