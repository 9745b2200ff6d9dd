import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  rooms: defineTable({ name: v.string() }).index("by_name", ["name"]),
  messages: defineTable({
    room: v.id("rooms"),
    author: v.string(),
    body: v.string(),
    picture: v.optional(v.id("_storage")),
  }).index("by_room", ["room"]),
});
