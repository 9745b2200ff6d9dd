import { issueAdminKey, parseAdminKey } from "../../credentials/admin-key.ts";
import type { Check } from "../context.ts";
import { error, NotChecked, ok } from "../finding.ts";
import { hasKeyForm } from "../key-state.ts";

/** Public: the backend's sources hold it (contract 2.4). Releases before 2026-05-08 use it when none is given (1.1). */
const DEVELOPMENT_SECRET = "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974";

/** A key made from the public secret must not open the deployment. */
export const defaultSecret: Check = {
  id: "default-secret",
  async run({ adminKey, http, url, facts }) {
    const name = (await facts.instanceName()) ?? nameIn(adminKey);
    if (name === undefined || name === "") throw new NotChecked("the name of the instance is not known");
    const opened = await Promise.all(
      (["current", "legacy"] as const).map(async (format) => {
        const made = issueAdminKey({ instanceName: name, instanceSecret: DEVELOPMENT_SECRET, format });
        const response = await http.request(`${url}/api/get_config_hashes`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ version: "1.0.0", adminKey: made }),
        });
        return response.status;
      }),
    );
    if (opened.includes(200)) {
      return [
        error(
          "The deployment runs on the public development secret.",
          "Everybody can make an admin key for it: read, change and delete all data, code and variables.",
          "Start the backend with INSTANCE_SECRET set to the output of `openssl rand -hex 32`, and make a new admin key. All older keys and upload URLs end with that. Treat the data as known to others.",
        ),
      ];
    }
    if (opened.every((status) => status === 401)) return [ok("The instance secret is not the public development one.")];
    throw new NotChecked(`the backend answered ${opened.join(" and ")} instead of telling whether it knows a key`);
  },
};

function nameIn(key: string): string | undefined {
  return hasKeyForm(key) ? parseAdminKey(key).instanceName : undefined;
}
