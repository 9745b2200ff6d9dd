import { v } from "convex/values";
import { query } from "./_generated/server";

export const list = query({ args: {}, handler: (ctx) => ctx.db.query("rooms").collect() });

export const greeting = query({
  args: {},
  returns: v.union(v.string(), v.null()),
  handler: () => process.env.GREETING ?? null,
});
