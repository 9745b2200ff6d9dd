import { httpRouter } from "convex/server";
import { api } from "./_generated/api";
import { httpAction } from "./_generated/server";

const http = httpRouter();

http.route({
  method: "GET",
  path: "/rooms",
  handler: httpAction(async (ctx) => {
    const rooms = await ctx.runQuery(api.rooms.list, {});
    return Response.json(
      rooms.map(({ name }) => name),
      { headers: { "access-control-allow-origin": process.env.SITE_URL ?? "*" } },
    );
  }),
});

// What the backend asks for when a token names this site as its issuer.
http.route({
  method: "GET",
  path: "/.well-known/openid-configuration",
  handler: httpAction(async () => {
    const issuer = process.env.CONVEX_SITE_URL;
    return Response.json({
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      authorization_endpoint: `${issuer}/oauth/authorize`,
    });
  }),
});
http.route({
  method: "GET",
  path: "/.well-known/jwks.json",
  handler: httpAction(async () => new Response(process.env.JWKS, { headers: { "content-type": "application/json" } })),
});

export default http;
