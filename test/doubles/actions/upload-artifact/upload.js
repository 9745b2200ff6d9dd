/** Keeps the named files for the double of download-artifact, where a test says where. */
import { cpSync } from "node:fs";
import { basename, join } from "node:path";

const { DOUBLE_ARTIFACTS: kept = "", INPUT_NAME: name = "", INPUT_PATH: paths = "" } = process.env;
for (const path of kept === ""
  ? []
  : paths
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== ""))
  cpSync(path, join(kept, name, basename(path)), { recursive: true });
