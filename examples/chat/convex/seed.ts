import { v } from "convex/values";
import { internalMutation } from "./_generated/server";

export const basic = internalMutation({
  args: { rooms: v.number() },
  returns: v.number(),
  handler: async (ctx, { rooms }) => {
    for (let n = 1; n <= rooms; n++) await ctx.db.insert("rooms", { name: `Room ${n}` });
    return rooms;
  },
});
