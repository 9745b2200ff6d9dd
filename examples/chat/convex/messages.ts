import { v } from "convex/values";
import { internalMutation, mutation, query } from "./_generated/server";

export const list = query({
  args: { room: v.id("rooms") },
  handler: async (ctx, { room }) => {
    const messages = await ctx.db
      .query("messages")
      .withIndex("by_room", (q) => q.eq("room", room))
      .collect();
    return await Promise.all(
      messages.map(async ({ author, body, picture }) => ({
        author,
        body,
        picture: picture === undefined ? null : await ctx.storage.getUrl(picture),
      })),
    );
  },
});

export const send = mutation({
  args: { room: v.id("rooms"), body: v.string(), picture: v.optional(v.id("_storage")) },
  handler: async (ctx, message) => {
    const user = await ctx.auth.getUserIdentity();
    if (user === null) throw new Error("Sign in to write.");
    return await ctx.db.insert("messages", { ...message, author: user.subject });
  },
});

export const uploadUrl = mutation({ args: {}, handler: (ctx) => ctx.storage.generateUploadUrl() });

export const reply = internalMutation({
  args: { room: v.id("rooms"), body: v.string() },
  handler: (ctx, { room, body }) => ctx.db.insert("messages", { room, body, author: "assistant" }),
});

/** Keeps the newest hundred messages of every room. */
export const tidy = internalMutation({
  args: {},
  handler: async (ctx) => {
    for (const room of await ctx.db.query("rooms").collect()) {
      const messages = await ctx.db
        .query("messages")
        .withIndex("by_room", (q) => q.eq("room", room._id))
        .order("desc")
        .collect();
      for (const message of messages.slice(100)) await ctx.db.delete(message._id);
    }
  },
});
