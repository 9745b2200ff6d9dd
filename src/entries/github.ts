// A library in a bundle of its own: see src/system/libraries.ts.
export { getOctokit } from "@actions/github";
