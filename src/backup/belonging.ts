import { ActionError } from "../runner/errors.ts";
import type { Store } from "../store/store.ts";
import type { Manifest } from "./manifest.ts";
import { fetchManifest } from "./manifest-reader.ts";
import type { Strange } from "./prune.ts";

/** What is wrong with a manifest itself, and not with the way to it. */
const DAMAGED = new Set(["manifest-invalid", "manifest-newer", "store-missing", "store-damaged"]);

export const isDamaged = (failure: unknown): failure is ActionError =>
  failure instanceof ActionError && DAMAGED.has(failure.code);

type Instance = Manifest["instance"];

export const isSameDeployment = (one: Instance, other: Instance): boolean =>
  one.name === other.name && one.fingerprint === other.fingerprint;

/**
 * Tells the backups of one deployment from those of others that share its place, and from those that nobody can use:
 * by the instance that the manifest names.
 */
export function strangeTo(store: Store, { instance }: Pick<Manifest, "instance">): Strange {
  return async ({ id }) => {
    try {
      const { instance: other } = await fetchManifest(store, id);
      if (isSameDeployment(instance, other)) return undefined;
      return `it is of another deployment (instance ${other.name}, or another address of this one)`;
    } catch (failure) {
      if (!isDamaged(failure)) throw failure;
      return `it cannot be used, and is kept for whoever looks into that: ${failure.message}`;
    }
  };
}
