import type { DeploymentClient } from "../deployment/client.ts";
import { asRecord } from "../deployment/json.ts";
import { ActionError } from "../runner/errors.ts";

/** What a target holds, as far as somebody has to agree before it is replaced. */
export interface Holdings {
  readonly documents: number;
  readonly files: number;
  /** `messages 1,204, users 31`: the largest tables, or the largest that were counted when that was enough. */
  readonly largest: readonly string[];
}

const count = (value: number): string => value.toLocaleString("en-US");
const MOST_NAMES = 4;

/**
 * Counts the documents of the root's tables, which costs next to nothing. Components and files do not show here: only
 * an export shows them (contract 6.2, 7.1), so "none" is no proof that the target is empty.
 */
export async function countRoot(client: DeploymentClient): Promise<Holdings> {
  const args = { paginationOpts: { cursor: null, numItems: 10_000 } };
  const page = asRecord(await client.systemQuery("_system/cli/tables", args))["page"];
  const names = (Array.isArray(page) ? page : []).map((entry) => String(asRecord(entry)["name"]));
  const sizes = await Promise.all(
    names.map(async (name) => {
      const size = Number(await client.systemQuery("_system/cli/tableSize", { tableName: name }));
      return { name, size: Number.isFinite(size) ? size : 0 };
    }),
  );
  return holdingsOf(sizes, 0);
}

/** The same of what an export shows: all components, and files. */
export function holdingsOf(
  tables: readonly { readonly name: string; readonly size: number }[],
  files: number,
): Holdings {
  const filled = tables.filter(({ size }) => size > 0).sort((a, b) => b.size - a.size);
  return {
    documents: filled.reduce((sum, { size }) => sum + size, 0),
    files,
    largest: filled.slice(0, MOST_NAMES).map(({ name, size }) => `${name} ${count(size)}`),
  };
}

export const isEmpty = ({ documents, files }: Holdings): boolean => documents === 0 && files === 0;

export function describeHoldings({ documents, files, largest }: Holdings): string {
  const parts = [
    documents === 0 ? "" : `${count(documents)} ${documents === 1 ? "document" : "documents"} (${largest.join(", ")})`,
    files === 0 ? "" : `${count(files)} stored ${files === 1 ? "file" : "files"}`,
  ];
  return parts.filter((part) => part !== "").join(" and ") || "nothing";
}

/** What the user agreed to. */
export interface Consent {
  readonly confirm: string | undefined;
  /** A destination, or `off`; undefined when nothing was said. */
  readonly safetyBackup: unknown;
}

/**
 * A name that is not the target's own means that another target was meant, whether this one holds data or not.
 * @throws ActionError confirm-mismatch
 */
export function checkConfirm(confirm: string | undefined, instanceName: string, url: string): void {
  if (confirm === undefined || confirm === instanceName) return;
  throw new ActionError(
    "confirm-mismatch",
    `confirm is ${JSON.stringify(confirm)}, and the deployment at ${url} is called ${JSON.stringify(instanceName)}: it is not the one you meant. Nothing was changed.`,
    `Correct url and admin-key, or write confirm: ${instanceName} if its data are to be replaced.`,
  );
}

/**
 * Nothing is replaced that nobody agreed to lose.
 * @throws ActionError confirm-missing, safety-backup-missing
 */
export function checkConsent(holdings: Holdings, consent: Consent, instanceName: string, url: string): void {
  if (isEmpty(holdings)) return;
  const what = `The deployment ${instanceName} at ${url} holds ${describeHoldings(holdings)}`;
  if (consent.confirm === undefined) {
    throw new ActionError(
      "confirm-missing",
      `${what}, all of which a restore replaces. Nothing was changed.`,
      `Write confirm: ${instanceName}, and in safety-backup where the present data are to be kept (or off).`,
    );
  }
  if (consent.safetyBackup === undefined) {
    throw new ActionError(
      "safety-backup-missing",
      `${what}, and safety-backup does not say where they are to be kept before they are replaced. Nothing was changed.`,
      "Name a destination, such as s3://bucket/before-restore or dir:/backups, or off if they may be lost.",
    );
  }
}
