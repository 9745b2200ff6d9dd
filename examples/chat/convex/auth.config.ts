// The app is its own issuer, as with Convex Auth: tokens are checked against the keys that http.ts serves.
export default {
  providers: [{ domain: process.env.CONVEX_SITE_URL, applicationID: "convex" }],
};
