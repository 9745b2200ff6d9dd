import { parseAdminKey } from "../../credentials/admin-key.ts";
import type { Check } from "../context.ts";
import { error, NotChecked, ok, warning } from "../finding.ts";
import { hasKeyForm } from "../key-state.ts";

/** The backend behind the URL is the one that the key was made for. */
export const instance: Check = {
  id: "instance",
  async run({ url, adminKey, facts }) {
    const name = await facts.instanceName();
    if (name === undefined) {
      return [
        warning(
          `${url} does not answer GET /instance_name.`,
          "It cannot be told whose backend it is before a key is shown to it.",
          "Let the proxy pass on all paths of the host name, not /api alone.",
        ),
      ];
    }
    if (!hasKeyForm(adminKey)) throw new NotChecked("the admin key is malformed");
    const wanted = parseAdminKey(adminKey).instanceName;
    if (name === wanted) return [ok(`It is the instance ${name}, as in the admin key.`)];
    return [
      error(
        `${url} is the instance ${JSON.stringify(name.slice(0, 60))}, and the admin key is for ${JSON.stringify(wanted)}.`,
        "Staging and production are mixed up, or the backend was set up anew: the next deploy, backup or restore goes to the wrong place or fails.",
        "Give URL and admin key of the same deployment; beside INSTANCE_SECRET in connection give INSTANCE_NAME, where the backend has one.",
      ),
    ];
  },
};
