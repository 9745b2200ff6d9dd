// A library in a bundle of its own: see src/system/libraries.ts.
export { DefaultArtifactClient } from "@actions/artifact";
