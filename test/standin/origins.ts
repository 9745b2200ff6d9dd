/** Canonical URLs: what a start was told, unless the database says otherwise (contract 4.1, 8.3). */
import type { Environment } from "./environment.ts";
import { jsonResponse } from "./server.ts";
import { object, oneOf, optional, string } from "./shapes.ts";
import type { Like, ReadTransaction, Routes, Store } from "./types.ts";

const TABLE = "_canonical_urls";
type Destination = "convexCloud" | "convexSite";

const updateShape = object<{ requestDestination: Destination; url: string | undefined }>("UpdateCanonicalUrlRequest", {
  requestDestination: oneOf("convexCloud", "convexSite"),
  url: optional(string),
});

export class Origins {
  /** Of the start options. A function, because a port may be known only after it is bound. */
  readonly flags: () => { cloud: string; site: string };
  #store: Store;

  constructor(store: Store, flags: () => { cloud: string; site: string }) {
    this.#store = store;
    this.flags = flags;
  }

  cloud(tx?: ReadTransaction): string {
    return this.#canonical("convexCloud", tx) ?? this.flags().cloud;
  }

  site(tx?: ReadTransaction): string {
    return this.#canonical("convexSite", tx) ?? this.flags().site;
  }

  #canonical(destination: Destination, tx: ReadTransaction = this.#store.beginRead()): string | undefined {
    const found = tx.scan("", TABLE).find((doc) => doc["requestDestination"] === destination);
    return found === undefined ? undefined : String(found["url"]);
  }
}

export function addOriginRoutes(
  routes: Routes,
  store: Store,
  origins: Origins,
  environment: Environment,
  like: Like,
): void {
  if (like === "first") return;
  routes.route("POST", "/api/v1/update_canonical_url", async (request) => {
    const { requestDestination, url } = await request.adminJson(updateShape, "write");
    await store.write(async (tx) => {
      for (const doc of tx.scan("", TABLE)) {
        if (doc["requestDestination"] === requestDestination) tx.delete("", doc._id);
      }
      if (url !== undefined) tx.insert("", TABLE, { requestDestination, url });
      await environment.onChange(tx);
    });
    return {};
  });
  routes.route("GET", "/api/v1/get_canonical_urls", async (request) => {
    await request.requireAdmin("read");
    const tx = store.beginRead();
    return jsonResponse(JSON.stringify({ convexCloudUrl: origins.cloud(tx), convexSiteUrl: origins.site(tx) }));
  });
}
