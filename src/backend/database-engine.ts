import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { getCACertificates } from "node:tls";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { DatabaseTarget } from "./database-url.ts";

export interface DatabaseWish {
  /** Create the database when it is missing. */
  readonly create: boolean;
  /** Where this job reaches the server, should the backend's name for it mean nothing here (`host.docker.internal`). */
  readonly host?: string | undefined;
  /** PEM file with further authorities, as PG_CA_FILE or MYSQL_CA_FILE for the backend. */
  readonly caFile?: string | undefined;
  /** The database that a connection opens which makes another one; "postgres" when absent, or not there. */
  readonly maintenance?: string | undefined;
  /** A backend of ours may have it open already: its connections are nothing to warn of. */
  readonly shared?: boolean | undefined;
  /** For each connection and what is done on it; 30 s when absent. */
  readonly timeoutMs?: number | undefined;
}

/** A server that sleeps while nobody asks takes connections at once, and answers when it is awake. */
export const TIMEOUT_MS = 30_000;

/** What decides whether a backend will be able to work in a database. */
export interface DatabaseFacts {
  readonly mayCreateTables: boolean;
  readonly readOnly: boolean;
  /** Connections of others to this database, as far as the user may see them. */
  readonly others: number;
}

/** One kind of database server, as its client library speaks to it. Its errors are its own; `explain` names them. */
export interface DatabaseEngine {
  /** Opens the database and looks around in it. */
  look(): Promise<DatabaseFacts>;
  isMissing(error: unknown): boolean;
  /** Creates the database; false when another job was faster. @throws ActionError `database-rights` */
  create(): Promise<boolean>;
  /** The error that a user understands. */
  explain(error: unknown): ActionError;
  /** What lets the user create tables in this database. */
  readonly grant: string;
}

/** The names by which errors call a kind of server. */
export const NAMES = {
  postgres: { server: "Postgres", input: "postgres-url", caVariable: "PG_CA_FILE" },
  mysql: { server: "MySQL", input: "mysql-url", caVariable: "MYSQL_CA_FILE" },
} as const;

/** Ends a wait for what may never answer: libraries connect again for ever where something else than their server listens. */
export async function within<T>(ms: number, server: string, work: Promise<T>): Promise<T> {
  const late = async (): Promise<never> => {
    await delay(ms, undefined, { ref: false });
    throw new Error(`no ${server} answered within ${ms / 1000} s`);
  };
  return await Promise.race([work, late()]);
}

export const placeOf = ({ host, port }: DatabaseTarget): string => `${host}:${port}`;

/** The system's roots and those of the backend's own variable for a private authority (contract 1.4). */
export function authorities({ kind }: DatabaseTarget, { caFile }: DatabaseWish): string[] {
  const known = [...getCACertificates("default"), ...getCACertificates("system")];
  if (caFile === undefined || caFile === "") return known;
  const { caVariable } = NAMES[kind];
  try {
    return [...known, readFileSync(caFile, "utf8")];
  } catch (error) {
    throw new ActionError(
      "database-tls",
      `${caVariable} names ${caFile}, which cannot be read: ${messageOf(error)}.`,
      `Name a file with the certificate of the server's authority, or leave ${caVariable} out.`,
      { cause: error },
    );
  }
}

export function wrongLogin(target: DatabaseTarget, error: unknown): ActionError {
  const { server, input } = NAMES[target.kind];
  return new ActionError(
    "database-refused",
    `The ${server} server at ${placeOf(target)} refuses user ${target.user} or its password.`,
    `Check user and password in ${input}; special characters must be percent-encoded.`,
    { cause: error },
  );
}

export function refusedBy(target: DatabaseTarget, error: unknown): ActionError {
  return new ActionError(
    "database-refused",
    `The ${NAMES[target.kind].server} server at ${placeOf(target)} refuses the connection: ${messageOf(error)}.`,
    "Its text names what to change there.",
    { cause: error },
  );
}

export function noTls(target: DatabaseTarget, error: unknown): ActionError {
  return new ActionError(
    "database-tls",
    `The ${NAMES[target.kind].server} server at ${placeOf(target)} offers no TLS, and the backend demands it.`,
    "Turn TLS on in the server. Only one of this job or network may do without: with DO_NOT_REQUIRE_SSL=true for the backend (backend-env).",
    { cause: error },
  );
}

export function badCertificate(target: DatabaseTarget, error: unknown): ActionError {
  const { server, caVariable } = NAMES[target.kind];
  return new ActionError(
    "database-tls",
    `The certificate of the ${server} server at ${placeOf(target)} is not accepted: ${messageOf(error)}.`,
    `Host name and authority are always checked: name a private authority's file in ${caVariable} for the backend (backend-env), and in NODE_EXTRA_CA_CERTS of the step where its action has no backend-env.`,
    { cause: error },
  );
}

export function unreachable(target: DatabaseTarget, error: unknown): ActionError {
  const { server, input } = NAMES[target.kind];
  return new ActionError(
    "database-unreachable",
    `The ${server} server at ${placeOf(target)} cannot be reached: ${messageOf(error)}.`,
    `Check host and port in ${input}, that this job may reach it, and that it was ready before this step (a health check in services:).`,
    { cause: error },
  );
}

export function mayNotCreate(target: DatabaseTarget, statement: string, error: unknown): ActionError {
  return new ActionError(
    "database-rights",
    `User ${target.user} may not create databases on ${placeOf(target)}.`,
    `Create it once as an administrator: ${statement}.`,
    { cause: error },
  );
}
