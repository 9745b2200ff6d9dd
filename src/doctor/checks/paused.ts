import { asRecord } from "../../deployment/json.ts";
import type { Check } from "../context.ts";
import { NotChecked, notice, ok } from "../finding.ts";

/** A paused deployment runs no function, whichever is asked for (contract 6.2, 7.3); this one does not exist. */
export const paused: Check = {
  id: "paused",
  async run({ http, url, facts }) {
    await facts.reached();
    const answer = await http.request(`${url}/api/query`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path: "doctor:paused", args: {}, format: "json" }),
    });
    if (answer.status !== 200) throw new NotChecked(`the backend answers a call with ${answer.status}`);
    const { errorMessage } = asRecord(answer.json());
    if (!String(errorMessage).includes("deployment is paused")) return [ok("Functions run.")];
    return [
      notice(
        "The deployment is paused.",
        "Functions, HTTP actions, crons and scheduled functions do not run; what is due runs at once when it is resumed.",
        "If nobody restores or moves data just now, resume it in the dashboard's settings.",
      ),
    ];
  },
};
