import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { access, chmod, constants, lstat, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { ActionError, messageOf, systemCode } from "../runner/errors.ts";
import type { Deps } from "../system/deps.ts";
import { HttpFault, type HttpStream } from "../system/http.ts";
import { tempOf } from "../system/temp.ts";
import type { BinaryChoice } from "./binary-catalogue.ts";
import { type Asset, DEFAULT_RELEASES_URL, directAsset, findAsset } from "./releases.ts";
import { fetchRemote, type ReleasesSource } from "./remote.ts";

/** A backend binary on this machine. */
export interface Executable {
  readonly path: string;
  readonly release?: string;
  /** SHA-256 of the release's zip. */
  readonly sha256?: string;
  readonly source: "tool-cache" | "download" | "binary-path";
}

/** Lies beside the executable in the tool cache: what it was when it was unpacked. */
interface Sums {
  readonly zip: string;
  readonly executable: string;
}

const TOOL = "convex-local-backend";
const SUMS = "checksums.json";
/** The zip is under 100 MB (pins); ten times that is not a backend. */
const LARGEST_ZIP = 1024 * 1024 * 1024;

/** A release name is no version number, and the tool cache takes only such: `2026.9.28-g5c7cb5b`. */
export function cacheKey(release: string): string {
  const [year, month, day, short] = release.split("-");
  return `${year}.${Number(month)}.${Number(day)}-g${short}`;
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest("hex");
}

async function readSums(directory: string): Promise<Sums | undefined> {
  try {
    const sums: unknown = JSON.parse(await readFile(join(directory, SUMS), "utf8"));
    if (typeof sums !== "object" || sums === null || !("zip" in sums) || !("executable" in sums)) return undefined;
    const { zip, executable } = sums;
    return typeof zip === "string" && typeof executable === "string" ? { zip, executable } : undefined;
  } catch {
    return undefined;
  }
}

/** The executable of the tool cache, when it is still what was unpacked, and that came from the right zip. */
async function fromCache(choice: BinaryChoice, deps: Deps): Promise<Executable | undefined> {
  if (deps.env["RUNNER_TOOL_CACHE"] === undefined) return undefined;
  const { find } = await import("@actions/tool-cache");
  const directory = find(TOOL, cacheKey(choice.release), deps.arch);
  if (directory === "") return undefined;
  const path = join(directory, choice.executable);
  const sums = await readSums(directory);
  const actual = await sha256Of(path).catch(() => undefined);
  if (sums === undefined || actual !== sums.executable || (choice.sha256 ?? sums.zip) !== sums.zip) {
    deps.log.warning(
      `${path} in the tool cache is not what was once unpacked there (its SHA-256 differs): it is discarded and downloaded again.`,
    );
    await rm(directory, { recursive: true, force: true });
    return undefined;
  }
  return { path, release: choice.release, sha256: sums.zip, source: "tool-cache" };
}

function checkSum(asset: Asset, choice: BinaryChoice, actual: string): void {
  const expected = choice.sha256 ?? asset.sha256;
  if (actual === expected) return;
  const by = choice.sha256 === undefined ? "the release's metadata say" : "the catalogue says";
  throw new ActionError(
    "binary-checksum-mismatch",
    `${choice.asset} of release ${choice.release} has SHA-256 ${actual}, and ${by} ${expected}. It was deleted.`,
    "Run again; if it stays, the asset was replaced or a proxy changes it: do not use it before you know why.",
  );
}

/** Writes the body to `file` and hashes it on the way. */
async function save(answer: HttpStream, file: string, deps: Deps): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash("sha256");
  const total = Number(answer.headers["content-length"]);
  const started = deps.clock.now();
  let bytes = 0;
  let told = started;
  await pipeline(
    answer.body,
    async function* (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        bytes += chunk.length;
        if (bytes > LARGEST_ZIP) throw new HttpFault("TOO_LARGE", `the download is larger than ${LARGEST_ZIP} bytes`);
        hash.update(chunk);
        const now = deps.clock.now();
        if (now - told >= 5000) {
          told = now;
          deps.log.info(progress(bytes, total, now - started));
        }
        yield chunk;
      }
    },
    createWriteStream(file, { mode: 0o600 }),
  );
  if (total > 0 && bytes !== total) throw new HttpFault("CUT", `the download ended after ${bytes} of ${total} bytes`);
  return { sha256: hash.digest("hex"), bytes };
}

const megabytes = (bytes: number): string => (bytes / 1_000_000).toFixed(1);

function progress(bytes: number, total: number, ms: number): string {
  const rate = bytes / Math.max(ms, 1);
  const left = total > 0 ? `, ${Math.ceil((total - bytes) / rate / 1000)} s left` : "";
  return `${megabytes(bytes)}${total > 0 ? ` of ${megabytes(total)}` : ""} MB, ${(rate / 1000).toFixed(1)} MB/s${left}`;
}

/** Downloads and checks the zip; returns its SHA-256. */
async function downloadZip(
  choice: BinaryChoice,
  asset: Asset,
  source: ReleasesSource,
  file: string,
  deps: Deps,
): Promise<string | undefined> {
  if (choice.sha256 === undefined && asset.sha256 === undefined) {
    throw new ActionError(
      "binary-checksum-unknown",
      `Neither the catalogue nor the release's metadata have a SHA-256 of ${choice.asset} of release ${choice.release}.`,
      "Use a release with one, or download it yourself, check it, and give it in binary-path.",
    );
  }
  const started = deps.clock.now();
  const got = await fetchRemote(asset.url, source, "application/octet-stream", (body) => save(body, file, deps), deps);
  if (got === undefined) return undefined;
  checkSum(asset, choice, got.sha256);
  const seconds = ((deps.clock.now() - started) / 1000).toFixed(1);
  deps.log.info(`Downloaded ${choice.asset} of ${choice.release} (${megabytes(got.bytes)} MB) in ${seconds} s.`);
  return got.sha256;
}

async function locateAndDownload(
  choice: BinaryChoice,
  source: ReleasesSource,
  file: string,
  deps: Deps,
): Promise<string> {
  const direct = directAsset(choice, source);
  const there = direct === undefined ? undefined : await downloadZip(choice, direct, source, file, deps);
  if (there !== undefined) return there;
  const asset = await findAsset(choice, source, deps);
  const zip = await downloadZip(choice, asset, source, file, deps);
  if (zip !== undefined) return zip;
  throw new ActionError(
    "releases-unreachable",
    `${new URL(asset.url).origin} has no ${choice.asset}, although the release lists it (404).`,
    "Run again later, set releases-url to a mirror, or give binary-path.",
  );
}

async function unpack(zip: string, destination: string, choice: BinaryChoice, sum: string): Promise<string> {
  try {
    const { extractZip } = await import("@actions/tool-cache");
    const directory = await extractZip(zip, destination);
    const path = join(directory, choice.executable);
    if (!(await lstat(path)).isFile()) throw new Error(`${choice.executable} is no file`);
    await chmod(path, 0o755);
    const sums: Sums = { zip: sum, executable: await sha256Of(path) };
    await writeFile(join(directory, SUMS), JSON.stringify(sums));
    return directory;
  } catch (error) {
    throw new ActionError(
      "binary-unpack-failed",
      `${choice.asset} of release ${choice.release} cannot be unpacked: ${messageOf(error)}.`,
      "The runner needs unzip (PowerShell on Windows) and about 200 MB of space in RUNNER_TEMP and the tool cache.",
      { cause: error },
    );
  }
}

function sourceOf(options: { releasesUrl?: string | undefined; releasesToken?: string | undefined }): ReleasesSource {
  const url = (options.releasesUrl ?? DEFAULT_RELEASES_URL).replace(/\/+$/, "");
  if (!URL.canParse(url) || !/^https?:\/\/[^@]+$/.test(url)) {
    throw new ActionError(
      "input-invalid",
      "releases-url is not a URL without credentials that begins with https:// or http://.",
      `Give the base of the releases API, such as ${DEFAULT_RELEASES_URL}; a token goes into releases-token.`,
    );
  }
  return { url, token: options.releasesToken };
}

/**
 * The release's executable: from the tool cache when it is still unchanged there, else downloaded and checked.
 * @throws ActionError `binary-checksum-unknown`, `binary-checksum-mismatch`, `binary-unpack-failed`, and those of `findAsset`
 */
export async function obtainBinary(
  choice: BinaryChoice,
  options: { readonly releasesUrl?: string | undefined; readonly releasesToken?: string | undefined },
  deps: Deps,
): Promise<Executable> {
  const source = sourceOf(options);
  const cached = await fromCache(choice, deps);
  if (cached !== undefined) return cached;
  const temp = await mkdtemp(join(tempOf(deps), "convex-download-"));
  try {
    const zip = join(temp, choice.asset);
    const sha256 = await locateAndDownload(choice, source, zip, deps);
    // What the tool cache does not take has to stay.
    const toolCache = deps.env["RUNNER_TOOL_CACHE"] !== undefined;
    const destination = toolCache ? join(temp, "unpacked") : await mkdtemp(join(dirname(temp), `${TOOL}-`));
    const directory = await unpack(zip, destination, choice, sha256);
    return {
      path: join(await keep(directory, choice, deps), choice.executable),
      release: choice.release,
      sha256,
      source: "download",
    };
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

/** Copies the unpacked directory to the tool cache, unless another job of this machine was faster: its executable may run already. */
async function keep(directory: string, choice: BinaryChoice, deps: Deps): Promise<string> {
  if (deps.env["RUNNER_TOOL_CACHE"] === undefined) return directory;
  const theirs = await fromCache(choice, deps);
  const { cacheDir } = await import("@actions/tool-cache");
  return theirs === undefined
    ? await cacheDir(directory, TOOL, cacheKey(choice.release), deps.arch)
    : dirname(theirs.path);
}

/**
 * The executable that the input `binary-path` names; nothing is downloaded.
 * @throws ActionError `binary-path-unfit`
 */
export async function checkBinaryPath(path: string, deps: Pick<Deps, "platform">): Promise<Executable> {
  const unfit = (why: string, hint: string, cause?: unknown): ActionError =>
    new ActionError("binary-path-unfit", `binary-path: ${path} ${why}.`, hint, { cause });
  try {
    if ((await stat(path)).isDirectory()) throw unfit("is a directory", "Name the executable in it.");
    if (deps.platform !== "win32") await access(path, constants.X_OK);
  } catch (error) {
    if (error instanceof ActionError) throw error;
    const code = systemCode(error);
    if (code === "ENOENT")
      throw unfit("does not exist", "Check the path, or leave binary-path out to download a release.", error);
    throw unfit("cannot be executed", "Make it executable (chmod +x).", error);
  }
  return { path, source: "binary-path" };
}
