/** Checks the caller's repository out at `ref`; the local runner does it itself only where no ref is named. */
import { execFileSync } from "node:child_process";

const { DOUBLE_ORIGIN: origin = "", GITHUB_WORKSPACE: workspace = "", INPUT_REF: ref = "" } = process.env;
const git = (...args) => execFileSync("git", ["-C", workspace, ...args], { stdio: "inherit" });
git("init", "--quiet");
git("fetch", "--quiet", origin, "+refs/heads/*:refs/remotes/origin/*");
git("checkout", "--quiet", "--force", "--detach", ref === "" ? "origin/main" : ref);
