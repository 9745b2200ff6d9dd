import { asRecord } from "../deployment/json.ts";
import { ActionError, messageOf } from "../runner/errors.ts";
import type { SnapshotFinding, StorageFacts, TableFacts } from "../snapshot/inspection.ts";
import type { Store } from "../store/store.ts";
import { Field, FieldFault } from "./fields.ts";
import {
  isIntact,
  LARGEST_MANIFEST,
  MANIFEST_VERSION,
  type Manifest,
  type ManifestObject,
  type ManifestSnapshot,
  type ManifestVariable,
} from "./manifest.ts";
import { isBackupId, OBJECTS } from "./objects.ts";

const SHA256 = /^[0-9a-f]{64}$/;
const HEX = /^[0-9a-f]{8,128}$/;
const MOST_TABLES = 200_000;
const MOST_FINDINGS = 100_000;
const MOST_VARIABLES = 10_000;
const MOST_RECIPIENTS = 100;

function readTable(field: Field): TableFacts {
  return {
    component: field.at("component").text(),
    name: field.at("name").text(/./),
    documents: field.at("documents").count(),
    bytes: field.at("bytes").count(),
    digest: field.at("digest").text(HEX),
    exactValues: field.at("exactValues").boolean(),
  };
}

function readStorage(field: Field): StorageFacts {
  return {
    component: field.at("component").text(),
    files: field.at("files").count(),
    bytes: field.at("bytes").count(),
    digest: field.at("digest").text(HEX),
  };
}

function readFinding(field: Field): SnapshotFinding {
  return {
    kind: field.at("kind").text(/^[a-z0-9-]+$/),
    level: field.at("level").choice(["error", "warning", "notice"]),
    where: field.at("where").text(),
    message: field.at("message").text(),
  };
}

function readSnapshot(field: Field): ManifestSnapshot {
  const tables = field.at("tables").items(MOST_TABLES).map(readTable);
  const storage = field.at("storage");
  const documents = field.at("documents");
  if (documents.count() !== tables.reduce((sum, table) => sum + table.documents, 0)) {
    throw documents.fault("is not the sum of those of the tables");
  }
  return {
    timestamp: field.at("timestamp").text(/^[1-9]\d{0,19}$/),
    documents: documents.count(),
    files: field.at("files").count(),
    bytes: field.at("bytes").count(),
    uncompressedBytes: field.at("uncompressedBytes").count(),
    sha256: field.at("sha256").text(SHA256),
    encoding: field.at("encoding").choice(["uniform", "shapes", "mixed", "none"]),
    tables,
    storage: storage.isNull ? null : storage.items(MOST_TABLES).map(readStorage),
    findings: field.at("findings").items(MOST_FINDINGS).map(readFinding),
  };
}

function readObject(field: Field): ManifestObject {
  const plain = field.at("plain");
  return {
    name: field.at("name").choice([OBJECTS.snapshot, OBJECTS.encryptedSnapshot, OBJECTS.settings]),
    bytes: field.at("bytes").count(),
    sha256: field.at("sha256").text(SHA256),
    plain: { bytes: plain.at("bytes").count(), sha256: plain.at("sha256").text(SHA256) },
  };
}

function readVariable(field: Field): ManifestVariable {
  const fingerprint = field.at("fingerprint");
  const name = field.at("name").text(/^[A-Za-z_]\w{0,255}$/);
  return fingerprint.isAbsent ? { name } : { name, fingerprint: fingerprint.text(SHA256) };
}

function readEncryption(field: Field): Manifest["encryption"] {
  if (field.at("method").choice(["age", "none"]) === "none") return { method: "none" };
  const recipients = field.at("recipients").items(MOST_RECIPIENTS);
  if (recipients.length === 0) throw field.at("recipients").fault("is empty");
  return { method: "age", recipients: recipients.map((each) => each.text(/^age1[a-z0-9]+$/)) };
}

/** What one part says must fit what the others say. */
function checkWhole(root: Field, manifest: Manifest): Manifest {
  const { objects, snapshot, encryption } = manifest;
  const names = objects.map(({ name }) => name);
  const field = root.at("objects");
  const wanted = encryption.method === "age" ? OBJECTS.encryptedSnapshot : OBJECTS.snapshot;
  const stored = objects.find(({ name }) => name === wanted);
  if (stored === undefined) throw field.fault(`has no ${wanted}`);
  if (new Set(names).size !== names.length) throw field.fault("names an object twice");
  if (encryption.method === "none" && names.length !== 1) throw field.fault("has encrypted objects, and no recipients");
  if (encryption.method === "age" && names.includes(OBJECTS.snapshot)) {
    throw field.fault("has an object without encryption");
  }
  if (stored.plain.sha256 !== snapshot.sha256 || stored.plain.bytes !== snapshot.bytes) {
    throw field.fault(`and snapshot do not tell the same of ${wanted}`);
  }
  if (manifest.env.values && !names.includes(OBJECTS.settings)) throw field.fault(`has no ${OBJECTS.settings}`);
  return manifest;
}

function readFields(root: Field): Manifest {
  const [instance, code, env] = [root.at("instance"), root.at("code"), root.at("env")];
  return checkWhole(root, {
    version: MANIFEST_VERSION,
    id: root.at("id").text(),
    instance: { name: instance.at("name").text(/./), fingerprint: instance.at("fingerprint").text(HEX) },
    startedAt: root.at("startedAt").time(),
    finishedAt: root.at("finishedAt").time(),
    backend: { version: root.at("backend").at("version").text(/./) },
    code: { commit: code.at("commit").text(/^(unknown|[0-9a-f]{7,64})$/), assumed: code.at("assumed").boolean() },
    action: { version: root.at("action").at("version").text(/./) },
    encryption: readEncryption(root.at("encryption")),
    objects: root.at("objects").items(3).map(readObject),
    snapshot: readSnapshot(root.at("snapshot")),
    env: {
      values: env.at("values").boolean(),
      variables: env.at("variables").items(MOST_VARIABLES).map(readVariable),
    },
  });
}

function invalid(id: string, problem: string, cause?: unknown): ActionError {
  return new ActionError(
    "manifest-invalid",
    `The manifest of backup ${id} cannot be used: ${problem}.`,
    "Use another backup, and find out who or what changed this one in its store.",
    { cause },
  );
}

/**
 * Reads a manifest; nothing in it is trusted.
 * @param id of the backup that it lies in
 * @throws ActionError `manifest-invalid`, `manifest-newer`
 */
export function parseManifest(bytes: Uint8Array, id: string): Manifest {
  if (bytes.length > LARGEST_MANIFEST) throw invalid(id, `it is larger than ${LARGEST_MANIFEST} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw invalid(id, "it is no JSON", error);
  }
  try {
    const root = new Field(json);
    const version = root.at("version").count();
    if (version > MANIFEST_VERSION) {
      throw new ActionError(
        "manifest-newer",
        `Backup ${id} was made by a newer version of this action: its manifest has version ${version}, and this one knows ${MANIFEST_VERSION}.`,
        "Use the version of the action that made the backup, or a newer one.",
      );
    }
    if (version !== MANIFEST_VERSION) throw root.at("version").fault("is no version of a manifest");
    const manifest = readFields(root);
    if (manifest.id !== id) throw root.at("id").fault("is that of another backup");
    return manifest;
  } catch (error) {
    throw error instanceof FieldFault ? invalid(id, messageOf(error), error) : error;
  }
}

/** The bytes of a backup's manifest, never more than a manifest may have. */
export async function fetchManifestBytes(store: Store, id: string, signal?: AbortSignal): Promise<Buffer> {
  if (!isBackupId(id)) throw invalid(id.slice(0, 60), "its name is not that of a backup");
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of store.get(`${id}/${OBJECTS.manifest}`, signal === undefined ? {} : { signal })) {
    bytes += part.length;
    if (bytes > LARGEST_MANIFEST) throw invalid(id, `it is larger than ${LARGEST_MANIFEST} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/**
 * Fetches and reads the manifest of a backup.
 * @throws ActionError `manifest-invalid`, `manifest-newer`, those of the store (`store-missing`: it is no backup)
 */
export async function fetchManifest(store: Store, id: string, signal?: AbortSignal): Promise<Manifest> {
  const bytes = await fetchManifestBytes(store, id, signal);
  const manifest = parseManifest(bytes, id);
  if (!isIntact(asRecord(JSON.parse(bytes.toString("utf8"))))) {
    throw invalid(id, "its checksum is not that of its content");
  }
  return manifest;
}
