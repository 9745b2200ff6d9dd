import { createHash } from "node:crypto";
import { parseAdminKey } from "../credentials/admin-key.ts";
import type { DeploymentClient } from "../deployment/client.ts";
import { ActionError } from "../runner/errors.ts";

/** What is told of a deployment beside its data. */
export interface DeploymentFacts {
  readonly instanceName: string;
  readonly origins: { readonly cloud: string; readonly site: string } | undefined;
  readonly variables: ReadonlyMap<string, string>;
}

/** A proxy may hide `/instance_name`; the key was made for the same instance, and was accepted. */
async function nameOf(client: DeploymentClient, adminKey: string, signal: AbortSignal): Promise<string> {
  try {
    return (await client.instanceName({ signal })).trim();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ActionError)) throw error;
    return parseAdminKey(adminKey).instanceName;
  }
}

export async function readFacts(
  client: DeploymentClient,
  adminKey: string,
  signal: AbortSignal,
): Promise<DeploymentFacts> {
  const [instanceName, origins, variables] = await Promise.all([
    nameOf(client, adminKey, signal),
    client.canonicalUrls({ signal }),
    client.listVariables({ signal }),
  ]);
  return { instanceName, origins, variables };
}

/**
 * Tells instances of one name apart (`convex-self-hosted` is the default of them all), without naming the host in a file
 * that is not encrypted.
 */
export function fingerprintOfInstance({ instanceName, origins }: DeploymentFacts, url: string): string {
  const text = JSON.stringify([instanceName, origins?.cloud ?? url]);
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
