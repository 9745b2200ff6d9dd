/**
 * Knobs of the backend: variables that change a constant (contract 1.1). A changed one is logged, one that cannot be
 * parsed is ignored with a warning. Only two have an effect here; the others are known so that their lines appear.
 */
import type { Log } from "./log.ts";

export interface BackendKnobs {
  readonly requestTimeoutMs: number;
  readonly metrics: boolean;
}

const NUMBERS: Record<string, number> = {
  HTTP_SERVER_TIMEOUT_SECONDS: 300,
  DOCUMENT_RETENTION_DELAY: 2_592_000,
  ENV_VAR_LIMIT: 1000,
  MAX_PUSH_BYTES: 200_000_000,
  APPLICATION_MAX_CONCURRENT_QUERIES: 16,
  APPLICATION_MAX_CONCURRENT_MUTATIONS: 16,
  APPLICATION_MAX_CONCURRENT_V8_ACTIONS: 16,
  APPLICATION_MAX_CONCURRENT_NODE_ACTIONS: 16,
  APPLICATION_MAX_CONCURRENT_HTTP_ACTIONS: 16,
  ACTIONS_USER_TIMEOUT_SECS: 600,
};

export function readBackendKnobs(env: NodeJS.ProcessEnv, log: Log): BackendKnobs {
  const numbers = new Map<string, number>();
  for (const [name, normal] of Object.entries(NUMBERS)) {
    const parse = (text: string) => (/^\d+$/.test(text) ? Number(text) : undefined);
    numbers.set(name, knob(env, name, normal, parse, log));
  }
  const parse = (text: string) => (text === "true" || text === "false" ? text === "true" : undefined);
  const metricsOff = knob(env, "DISABLE_METRICS_ENDPOINT", false, parse, log);
  return { requestTimeoutMs: (numbers.get("HTTP_SERVER_TIMEOUT_SECONDS") ?? 300) * 1000, metrics: !metricsOff };
}

function knob<T>(env: NodeJS.ProcessEnv, name: string, normal: T, parse: (text: string) => T | undefined, log: Log): T {
  const text = env[name];
  if (text === undefined) return normal;
  const value = parse(text);
  if (value === undefined) {
    log.write("WARN", "cmd_util::env", `Invalid value ${text} for ${name}, falling back to ${normal}`);
    return normal;
  }
  if (value !== normal) log.write("INFO", "cmd_util::env", `Overriding ${name} to ${text} from environment`);
  return value;
}
