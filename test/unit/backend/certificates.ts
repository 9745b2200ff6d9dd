import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** An authority (`ca.pem`), and a certificate of it for the name localhost (`server.pem`, `server.key`), in a folder. */
export async function makeCertificates(directory: string): Promise<void> {
  const file = (name: string): string => join(directory, name);
  const key = ["-newkey", "rsa:2048", "-nodes"];
  const ca = ["-keyout", file("ca.key"), "-out", file("ca.pem"), "-subj", "/CN=Test CA", "-days", "2"];
  await run("openssl", ["req", "-x509", ...key, ...ca]);
  const request = ["-keyout", file("server.key"), "-out", file("server.csr"), "-subj", "/CN=localhost"];
  await run("openssl", ["req", ...key, ...request]);
  await writeFile(file("names"), "subjectAltName=DNS:localhost\n");
  const by = [
    "-CA",
    file("ca.pem"),
    "-CAkey",
    file("ca.key"),
    "-CAcreateserial",
    "-extfile",
    file("names"),
    "-days",
    "2",
  ];
  await run("openssl", ["x509", "-req", "-in", file("server.csr"), ...by, "-out", file("server.pem")]);
}
