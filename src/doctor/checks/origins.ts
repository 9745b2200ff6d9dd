import { type Check, type Context, isLoopback } from "../context.ts";
import { error, notice, ok, type Verdict, warning } from "../finding.ts";

interface Origin {
  readonly name: "CONVEX_CLOUD_ORIGIN" | "CONVEX_SITE_ORIGIN";
  /** As the backend gives it out. */
  readonly text: string;
  /** Where the job reaches the same; undefined where nobody said so. */
  readonly own: string | undefined;
  readonly why: string;
}

const CLOUD = "URLs of files, upload URLs and the callbacks of Node actions use it.";
const SITE = "It is CONVEX_SITE_URL: the issuer of the app's own tokens, and what webhooks are told.";

/** The two origins that the backend gives out lead to it, from outside too (contract 8.3). */
export const origins: Check = {
  id: "origins",
  async run(context) {
    const { cloud, site } = await context.facts.origins();
    const known: Origin[] = [{ name: "CONVEX_CLOUD_ORIGIN", text: cloud, own: context.url, why: CLOUD }];
    if (site !== undefined) known.push({ name: "CONVEX_SITE_ORIGIN", text: site, own: context.siteUrl, why: SITE });
    return await Promise.all(known.map(async (origin) => formOf(origin) ?? (await judge(origin, context))));
  },
};

const setTo = ({ name, own }: Origin): string =>
  `Set ${name} of the backend to ${own ?? "the URL that clients use"} and start it again, or correct it in the dashboard's settings where it was set there.`;

function formOf(origin: Origin): Verdict | undefined {
  const { name, text, why } = origin;
  const refuse = (what: string, effect: string): Verdict =>
    error(`${name} ${what}.`, `${why} ${effect}`, setTo(origin));
  if (text === "") return refuse("is empty", "Without it they are paths without a host.");
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return refuse(`is no URL (${text.slice(0, 80)})`, "");
  const { origin: plain } = new URL(text);
  if (text === plain || text.toLowerCase() === plain) return undefined;
  const what = text.endsWith("/") && new URL(text).pathname === "/" ? "ends with a slash" : "has a path";
  return refuse(`${what} (${text.slice(0, 80)})`, "Paths are put behind it as it is, so they lead nowhere.");
}

async function judge(origin: Origin, context: Context): Promise<Verdict> {
  const { name, text, own, why } = origin;
  if (text === own) return ok(`${name} is ${text}, as here.`);
  if (own !== undefined && new URL(text).host === new URL(own).host) {
    const what = `${name} is ${text}, and it is reached as ${own}.`;
    return error(
      what,
      `${why} Browsers refuse http from pages served over https, and a redirect loses uploads.`,
      setTo(origin),
    );
  }
  if (isLoopback(text) && !isLoopback(context.url)) {
    const what = `${name} is ${text}, an address that only the server itself reaches.`;
    return error(what, why, setTo(origin));
  }
  return await follow(origin, context);
}

async function follow(origin: Origin, { http, url, facts }: Context): Promise<Verdict> {
  const { name, text, own, why } = origin;
  const isSite = name === "CONVEX_SITE_ORIGIN";
  const answer = await http.request(`${text}${isSite ? "/version" : "/instance_name"}`).catch(() => undefined);
  if (answer?.status !== 200) {
    const what = `${name} is ${text}, which ${answer === undefined ? "does not answer" : `answers with ${answer.status}`} here.`;
    // From a machine beside the backend the public name may well be out of reach.
    return isLoopback(url) ? warning(what, why, setTo(origin)) : error(what, why, setTo(origin));
  }
  const known = await facts.instanceName();
  if (!isSite && known !== undefined && answer.text().trim() !== known) {
    return error(`${name} is ${text}, where another instance answers.`, why, setTo(origin));
  }
  if (own === undefined) return ok(`${name} is ${text}, and it answers.`);
  return notice(`${name} is ${text}, and here it is reached as ${own}; both answer.`);
}
