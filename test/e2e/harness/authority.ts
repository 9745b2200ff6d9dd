import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemExec } from "../../../src/system/exec.ts";
import { tool } from "./tools.ts";

async function openssl(...args: string[]): Promise<void> {
  const result = await systemExec.run(tool("openssl"), args);
  if (result.exitCode !== 0) throw new Error(`openssl ${args[0]}: ${result.stderr}`);
}

/** Makes an authority (ca.pem, ca.key) and a wildcard certificate that it signed (cert.pem, key.pem). */
export async function makeAuthority(folder: string, domain: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
  const at = (name: string): string => join(folder, name);
  await openssl("req", "-x509", ...curve, "-subj", "/CN=test authority", "-keyout", at("ca.key"), "-out", at("ca.pem"));
  await openssl("req", ...curve, "-subj", `/CN=*.${domain}`, "-keyout", at("key.pem"), "-out", at("request.pem"));
  writeFileSync(at("names"), `subjectAltName=DNS:*.${domain}\n`);
  const signed = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("names")];
  await openssl("x509", "-req", "-days", "30", "-in", at("request.pem"), ...signed, "-out", at("cert.pem"));
}
