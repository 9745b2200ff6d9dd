import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { WebSocket } from "ws";

export interface View {
  readonly width: number;
  readonly height: number;
  readonly scheme: "light" | "dark";
  /** Pixels from the top that the picture shows; the whole page when absent. */
  readonly upTo?: number;
}

/** What a page turned out to be in one view. */
export interface Seen {
  /** URLs of everything that was asked for, the page itself among them. */
  readonly requests: readonly string[];
  /** Errors and violations that the browser's console shows. */
  readonly problems: readonly string[];
  /** PNG of the whole page. */
  readonly picture: Buffer;
  /** The result of an expression in the page. */
  evaluate(expression: string): Promise<unknown>;
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** A real Chromium without a window, driven by its own protocol. */
export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #socket: WebSocket;
  readonly #profile: string;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #events: Message[] = [];
  #last = 0;
  #session: string | undefined;

  private constructor(child: ChildProcess, socket: WebSocket, profile: string) {
    this.#child = child;
    this.#socket = socket;
    this.#profile = profile;
    socket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString("utf8")) as Message;
      if (message.id === undefined) this.#events.push(message);
      else this.#waiting.get(message.id)?.(message);
    });
  }

  static async start(program = "chromium"): Promise<Browser> {
    const profile = await mkdtemp(join(tmpdir(), "chromium-"));
    const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"];
    const child = spawn(program, [...flags, `--user-data-dir=${profile}`, "--remote-debugging-port=0", "about:blank"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const address = await new Promise<string>((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`chromium ended with ${code}`)));
      createInterface({ input: child.stderr }).on("line", (line) => {
        const found = /^DevTools listening on (ws:\S+)/.exec(line)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    const socket = new WebSocket(address);
    await once(socket, "open");
    return new Browser(child, socket, profile);
  }

  async #send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    this.#socket.send(JSON.stringify({ id, method, params, ...session }));
    const { result = {}, error } = await answer;
    this.#waiting.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  async #until(method: string): Promise<void> {
    for (let tries = 0; tries < 1500; tries += 1) {
      if (this.#events.some((event) => event.method === method)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no ${method} within 30 s`);
  }

  /** Opens a file in a fresh tab and looks at it. */
  async look(path: string, { width, height, scheme, upTo }: View): Promise<Seen> {
    this.#session = undefined;
    const { targetId } = await this.#send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.#send("Target.attachToTarget", { targetId, flatten: true });
    this.#session = String(sessionId);
    for (const domain of ["Page", "Network", "Log", "Runtime", "Security"]) await this.#send(`${domain}.enable`);
    await this.#send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
    await this.#send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
    this.#events.length = 0;
    await this.#send("Page.navigate", { url: pathToFileURL(path).href });
    await this.#until("Page.loadEventFired");
    const clip = upTo === undefined ? {} : { clip: { x: 0, y: 0, width, height: upTo, scale: 1 } };
    const shot = await this.#send("Page.captureScreenshot", { format: "png", captureBeyondViewport: true, ...clip });
    const events = [...this.#events];
    const of = (method: string): Record<string, unknown>[] =>
      events.filter((event) => event.method === method).map(({ params = {} }) => params);
    return {
      requests: of("Network.requestWillBeSent").map(({ request }) => String((request as { url: string }).url)),
      problems: [...of("Log.entryAdded"), ...of("Runtime.exceptionThrown")].map((entry) => JSON.stringify(entry)),
      picture: Buffer.from(String(shot["data"]), "base64"),
      evaluate: async (expression) => {
        const answer = await this.#send("Runtime.evaluate", { expression, returnByValue: true });
        return (answer["result"] as { value?: unknown }).value;
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    if (this.#child.exitCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await ended;
    }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
