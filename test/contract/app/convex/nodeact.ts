"use node";
import { api } from "./_generated/api";
import { action } from "./_generated/server";

export const run = action({
  args: {},
  handler: async (ctx): Promise<{ cloud?: string; n: number; node: string; site?: string }> => ({
    cloud: process.env.CONVEX_CLOUD_URL,
    n: (await ctx.runQuery(api.messages.list, {})).length,
    node: process.version,
    site: process.env.CONVEX_SITE_URL,
  }),
});
