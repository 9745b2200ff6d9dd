import { type Check, isLoopback } from "../context.ts";
import { NotChecked, notice, ok, type Verdict, warning } from "../finding.ts";

const FIX =
  "Set DISABLE_METRICS_ENDPOINT=true for the backend, or let the proxy answer /metrics with 404 on both host names.";

/** `/metrics` is open to everyone by default, on both ports (contract 1.5). */
export const metrics: Check = {
  id: "metrics",
  async run({ http, url, facts }) {
    await facts.reached();
    const site = await facts.site().catch((failure: unknown) => {
      if (!(failure instanceof NotChecked)) throw failure;
    });
    const urls = site === undefined ? [url] : [url, site];
    const open = await Promise.all(
      urls.map(async (one): Promise<Verdict[]> => {
        const answer = await http.request(`${one}/metrics`).catch(() => undefined);
        if (answer?.status !== 200 || !/^# (HELP|TYPE) /m.test(answer.text())) return [];
        const what = `${one}/metrics is open to everyone.`;
        const why = "It tells how the backend is used, without any key.";
        return [
          isLoopback(one)
            ? notice(what, "This machine alone reaches it under this address.", FIX)
            : warning(what, why, FIX),
        ];
      }),
    );
    return open.flat().length > 0 ? open.flat() : [ok("/metrics is closed.")];
  },
};
