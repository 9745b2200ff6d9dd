import { cpSync, existsSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import { docker } from "./engine.ts";
import { tool } from "./tools.ts";

async function run(command: string, args: readonly string[]): Promise<string> {
  const result = await systemExec.run(command, args);
  if (result.exitCode !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${result.exitCode}\n${result.stderr}`);
  return result.stdout;
}

/** Copies a program of this machine and the libraries it loads. */
async function addProgram(folder: string, program: string, to: string): Promise<void> {
  const put = (from: string, path: string): void => {
    const target = join(folder, path);
    if (existsSync(target)) return;
    mkdirSync(dirname(target), { recursive: true });
    cpSync(realpathSync(from), target, { dereference: true });
  };
  put(program, to);
  const libraries = await run("ldd", [program]);
  for (const [library] of libraries.matchAll(/\/\S+/g)) put(library, library);
}

/**
 * A base image of this machine's busybox, bash and curl and the project's node: what the official image has of them,
 * made without pulling anything.
 */
export async function importBase(folder: string, name: string): Promise<void> {
  for (const path of ["usr/bin", "etc/ssl/certs", "proc", "sys", "dev", "root", "tmp"]) {
    mkdirSync(join(folder, path), { recursive: true });
  }
  symlinkSync("usr/bin", join(folder, "bin"));
  cpSync(tool("busybox"), join(folder, "bin/busybox"), { dereference: true });
  await addProgram(folder, "/bin/bash", "bin/bash");
  for (const applet of (await run(tool("busybox"), ["--list"])).split("\n")) {
    const link = join(folder, "bin", applet);
    if (applet !== "" && !existsSync(link)) symlinkSync("busybox", link);
  }
  await addProgram(folder, tool("curl"), "usr/bin/curl");
  await addProgram(folder, process.execPath, "usr/bin/node");
  cpSync("/etc/ssl/certs/ca-certificates.crt", join(folder, "etc/ssl/certs/ca-certificates.crt"), {
    dereference: true,
  });
  writeFileSync(join(folder, "etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n");
  writeFileSync(join(folder, "etc/group"), "root:x:0:\n");
  writeFileSync(join(folder, "etc/nsswitch.conf"), "hosts: files dns\n");
  const archive = `${folder}.tar`;
  await run("tar", ["-C", folder, "--owner=0", "--group=0", "-cf", archive, "."]);
  await docker("import", "--change", "ENV PATH=/usr/bin:/bin", archive, name);
  rmSync(archive);
  rmSync(folder, { recursive: true });
}

/** Builds the stand-in's image as `name`, as if made from `revision`. */
export async function buildStandinImage(context: string, base: string, name: string, revision: string): Promise<void> {
  const values = ["--build-arg", `BASE=${base}`, "--build-arg", `REVISION=${revision}`];
  await docker("build", "-q", ...values, "-t", name, context);
}

/** Pushes a local image under another name and returns the digest that the registry gave it. */
export async function push(local: string, remote: string): Promise<string> {
  await docker("tag", local, remote);
  const output = await docker("push", remote);
  await docker("rmi", remote);
  const digest = output.match(/digest: (sha256:[0-9a-f]{64})/)?.[1];
  if (digest === undefined) throw new Error(`docker push ${remote} told no digest:\n${output}`);
  return digest;
}
