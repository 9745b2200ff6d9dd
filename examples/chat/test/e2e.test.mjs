import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexHttpClient } from "convex/browser";
import { anyApi as api } from "convex/server";

// Both are in the environment of every step that follows the action.
const url = process.env.VITE_CONVEX_URL;
const site = process.env.CONVEX_SITE_URL;

test("rooms are seeded, also for the HTTP action", async () => {
  const client = new ConvexHttpClient(url);
  assert.equal((await client.query(api.rooms.list, {})).length, 3);
  const response = await fetch(`${site}/rooms`);
  assert.deepEqual(await response.json(), ["Room 1", "Room 2", "Room 3"]);
  assert.equal(response.headers.get("access-control-allow-origin"), "http://localhost:5173");
});

test("variables arrive byte for byte", async () => {
  assert.equal(await new ConvexHttpClient(url).query(api.rooms.greeting, {}), "two\nlines");
});

test("a user signs in, sends a picture, and the assistant answers", async () => {
  const client = new ConvexHttpClient(url);
  const [room] = await client.query(api.rooms.list, {});
  await assert.rejects(client.mutation(api.messages.send, { room: room._id, body: "hi" }), /Sign in to write/);
  client.setAuth(await client.action(api.session.signIn, { name: "ada" }));
  const upload = await client.mutation(api.messages.uploadUrl, {});
  const stored = await fetch(upload, { method: "POST", body: "picture", headers: { "content-type": "text/plain" } });
  const { storageId } = await stored.json();
  await client.mutation(api.messages.send, { room: room._id, body: "hi", picture: storageId });
  await client.action(api.session.ask, { room: room._id, question: "Why?" });
  const messages = await client.query(api.messages.list, { room: room._id });
  assert.deepEqual(
    messages.map(({ author, body }) => `${author}: ${body}`),
    ["ada: hi", "assistant: Why? I have a key to find out."],
  );
  assert.equal(await (await fetch(messages[0].picture)).text(), "picture");
});
