import { systemCode } from "../../runner/errors.ts";
import { type Check, type Context, isLoopback } from "../context.ts";
import { error, NotChecked, ok, type Verdict, warning } from "../finding.ts";
import { inspectCertificate, type ServedCertificate } from "../wire.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const SOON_DAYS = 14;
const RENEW = "Renew the certificate at the proxy, and look why its automatic renewal did not.";
const REFUSED = "Browsers, the CLI and every other client refuse the connection.";

/** The certificates of url, site-url and dashboard-url; or that there is none where there should be. */
export const tls: Check = {
  id: "tls",
  async run(context) {
    const { url, siteUrl, dashboardUrl } = context;
    const urls = [...new Set([url, siteUrl, dashboardUrl].filter((one) => one !== undefined))];
    return (await Promise.all(urls.map((one) => judge(one, context)))).flat();
  },
};

async function judge(url: string, context: Context): Promise<Verdict[]> {
  if (url.startsWith("http:")) return plain(url, context);
  let served: ServedCertificate;
  try {
    served = await inspectCertificate(url, { ca: context.ca, timeoutMs: 5000 });
  } catch (failure) {
    const code = systemCode(failure) ?? "";
    if (code === "EPROTO" || code.startsWith("ERR_SSL")) {
      const why = "The URL says https, and no client gets further than the first byte.";
      return [error(`${url} speaks no TLS (${code}).`, why, "Correct scheme or port, or set up TLS at the proxy.")];
    }
    throw new NotChecked(`${url} could not be connected to`);
  }
  const faults = [...faultsOf(url, served), ...ageOf(url, served, context.now)];
  return faults.length > 0 ? faults : [ok(`The certificate of ${url} is good until ${day(served.validTo)}.`)];
}

function plain(url: string, { dashboardUrl }: Context): Verdict[] {
  // The dashboard has a check of its own.
  if (url === dashboardUrl) return [];
  if (isLoopback(url)) return [ok(`${url} is this machine's own loopback, which needs no TLS.`)];
  return [
    warning(
      `${url} is plain http.`,
      "The admin key, the tokens of users and all data can be read and changed on the way. Pages served over https may not call it.",
      "Put a proxy with a certificate in front of it, and use its https:// URL everywhere.",
    ),
  ];
}

const day = (date: Date): string => date.toISOString().slice(0, 10);

function faultsOf(url: string, { fault, fitsName, names, selfSigned }: ServedCertificate): Verdict[] {
  const found: Verdict[] = [];
  if (!fitsName) {
    const what = `The certificate of ${url} is for another name: ${names}.`;
    found.push(error(what, REFUSED, "Get a certificate for this host name, or use the name that it is for."));
  }
  if (selfSigned && fault !== undefined && fault !== "CERT_HAS_EXPIRED") {
    const what = `The certificate of ${url} is self-signed.`;
    const fix = "Get one from a public authority, or name yours in ca-file and install it on every client.";
    found.push(error(what, REFUSED, fix));
  } else if (fault !== undefined && fault !== "CERT_HAS_EXPIRED" && fault !== "ERR_TLS_CERT_ALTNAME_INVALID") {
    const what = `The certificate of ${url} is not trusted here (${fault}).`;
    const fix =
      "Let the proxy send the whole chain, not its own certificate alone. For an authority of your own set ca-file.";
    found.push(error(what, REFUSED, fix));
  }
  return found;
}

function ageOf(url: string, { validTo }: ServedCertificate, now: number): Verdict[] {
  const left = validTo.getTime() - now;
  if (left < 0) return [error(`The certificate of ${url} expired on ${day(validTo)}.`, REFUSED, RENEW)];
  if (left > SOON_DAYS * DAY_MS) return [];
  const days = Math.floor(left / DAY_MS);
  const what = `The certificate of ${url} expires in ${days} day${days === 1 ? "" : "s"}, on ${day(validTo)}.`;
  return [warning(what, "From then on every client refuses the connection.", RENEW)];
}
