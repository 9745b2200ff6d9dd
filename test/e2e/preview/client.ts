/**
 * `node client.ts <url>`: a browser's client of the rooms app. Prints what it gets over its websocket: the rooms that it
 * subscribed to, and what an action in Node found at the deployment's own addresses.
 */
import { ConvexClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";

const [url = ""] = process.argv.slice(2);
const client = new ConvexClient(url);
const rooms: unknown = await new Promise((resolve, reject) => {
  client.onUpdate(makeFunctionReference<"query">("rooms:list"), {}, resolve, reject);
});
const echo: unknown = await client.action(makeFunctionReference<"action">("echo:roundTrip"), {});
process.stdout.write(`${JSON.stringify({ rooms, echo })}\n`);
await client.close();
