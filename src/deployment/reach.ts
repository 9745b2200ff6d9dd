import { ActionError } from "../runner/errors.ts";
import { type Http, HttpFault } from "../system/http.ts";
import { answerError } from "./backend-error.ts";

/** Something that is wrong with a deployment, or with how it is named here. */
export interface Finding {
  readonly level: "error" | "warning" | "notice";
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

export const errorFinding = (code: string, message: string, hint: string): Finding => ({
  level: "error",
  code,
  message,
  hint,
});

/**
 * Judges how the URL is written (contract 5.1). `origin` is what is meant where that can be told.
 */
export function checkUrlForm(text: string): { readonly origin?: string; readonly findings: readonly Finding[] } {
  const refuse = (what: string, hint: string): Finding => errorFinding("url-invalid", `url ${what}.`, hint);
  if (/^["'].*["']$/.test(text)) {
    return { findings: [refuse("is written in quotes", "Take the quotes out of the variable or secret.")] };
  }
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    const example = /^[\w.-]+(:\d+)?(\/.*)?$/.test(text) ? `https://${text}` : "https://convex.example.com";
    return {
      findings: [refuse(`(${shortened(text)}) does not begin with http:// or https://`, `Write it like ${example}.`)],
    };
  }
  const url = new URL(text);
  const { origin } = url;
  if (url.username !== "" || url.password !== "") {
    const hint = "Take them out: the backend knows no such login, and the admin key is an input of its own.";
    return { origin, findings: [refuse("holds a user name or password", hint)] };
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    const hint = `Write ${origin}: a backend is reached at the root of a host name, and its CLI drops the path for some calls.`;
    return { origin, findings: [refuse(`has a path (${shortened(url.pathname)})`, hint)] };
  }
  if (text.endsWith("/")) {
    const hint = `Write ${origin}: some calls of the CLI would go to ${origin}//api.`;
    return { origin, findings: [refuse("ends with a slash", hint)] };
  }
  return { origin, findings: [] };
}

export const shortened = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

const TLS_FAULTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is signed by an authority that is not known here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "it does not send the certificate between its own and the authority's",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is signed by an authority that is not known here",
  ERR_SSL_WRONG_VERSION_NUMBER: "no TLS is spoken at that port",
  EPROTO: "no TLS is spoken at that port",
};

/** Whether a Convex backend can be reached there at all. */
export async function checkReach(http: Http, url: string): Promise<Finding | undefined> {
  const what = `GET ${url}/version`;
  try {
    const response = await http.request(`${url}/version`, { timeoutMs: 15_000 });
    const location = response.headers.location;
    if (response.status >= 300 && response.status < 400 && location !== undefined) {
      const to = URL.canParse(location, url) ? new URL(location, url).origin : location;
      return errorFinding(
        "url-redirected",
        `${url} redirects to ${to}, and a redirected deploy fails.`,
        `Set url: ${to}.`,
      );
    }
    if (response.status === 200 && !/^\s*</.test(response.text())) return undefined;
    return fromError(answerError(what, response));
  } catch (fault) {
    if (!(fault instanceof HttpFault)) throw fault;
    const tls = TLS_FAULTS[fault.code];
    if (tls !== undefined) {
      return errorFinding(
        "backend-tls",
        `The TLS connection to ${url} fails: ${tls} (${fault.code}).`,
        fault.code.includes("PROTO") || fault.code.includes("WRONG_VERSION")
          ? "Use http:// if the backend is meant to be reached without TLS, or the port of the proxy that speaks it."
          : "Correct the certificate at the proxy. For an authority of your own set NODE_EXTRA_CA_CERTS in the job's env:.",
      );
    }
    return errorFinding(
      "backend-unreachable",
      `${fault.message}.`,
      "Check that the backend runs and that this job reaches it under this URL; hosted runners reach no private network.",
    );
  }
}

export function fromError(failure: unknown): Finding {
  if (!(failure instanceof ActionError)) throw failure;
  return errorFinding(failure.code, failure.message, failure.hint);
}
