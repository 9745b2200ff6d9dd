import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An authority of its own with openssl, and certificates by it. */
export class Authority implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "authority-"));

  constructor() {
    const days = ["-days", "400"];
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", this.#path("ca.key")];
    this.#openssl("req", "-x509", ...key, "-out", this.caFile, "-subj", "/CN=Test authority", ...days);
  }

  get caFile(): string {
    return this.#path("ca.pem");
  }

  /** @param name as in `subjectAltName`: `IP:127.0.0.1`, `DNS:other.example`; `days` below 0 is expired */
  issue(name: string, days: number): Readonly<Record<string, string>> {
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", this.#path("key.pem")];
    this.#openssl("req", ...key, "-out", this.#path("request.pem"), "-subj", "/CN=leaf");
    writeFileSync(this.#path("extensions"), `subjectAltName=${name}`);
    const by = ["-CA", this.caFile, "-CAkey", this.#path("ca.key"), "-CAcreateserial"];
    const what = ["-in", this.#path("request.pem"), "-extfile", this.#path("extensions"), "-days", String(days)];
    this.#openssl("x509", "-req", ...what, ...by, "-out", this.#path("certificate.pem"));
    return this.#pair();
  }

  selfSigned(name: string): Readonly<Record<string, string>> {
    const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", this.#path("key.pem")];
    const subject = ["-subj", "/CN=self", "-addext", `subjectAltName=${name}`, "-days", "400"];
    this.#openssl("req", "-x509", ...key, "-out", this.#path("certificate.pem"), ...subject);
    return this.#pair();
  }

  #pair(): Readonly<Record<string, string>> {
    const read = (name: string): string => readFileSync(this.#path(name), "utf8");
    return { "key.pem": read("key.pem"), "certificate.pem": read("certificate.pem") };
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { stdio: "ignore" });
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
