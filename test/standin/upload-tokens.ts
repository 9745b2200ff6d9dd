/** Tokens of upload URLs: sealed like admin keys, with a purpose of their own (contract 2.1, 8.2). */
import { gcmsiv } from "@noble/ciphers/aes.js";
import { derivedKey, readProtobuf } from "./admin-keys.ts";
import { seal } from "./generate-key.ts";
import { varint } from "./protobuf.ts";
import { ApiError } from "./types.ts";

const PURPOSE = "store file authorization";
const VALID_S = 3600;

/** `component` is its path; the root's tokens have the backend's own form. */
export function issueUploadToken(instanceName: string, secretHex: string, component: string, nowMs: number): string {
  const name = Buffer.from(instanceName);
  const inner = Buffer.from(component);
  const store = component === "" ? [] : [0x0a, ...varint(BigInt(inner.length)), ...inner];
  const plain = [
    ...[0x0a, ...varint(BigInt(name.length)), ...name],
    ...[0x10, ...varint(BigInt(Math.floor(nowMs / 1000)))],
    ...[0x1a, store.length, ...store],
  ];
  return seal(secretHex, PURPOSE, Uint8Array.from(plain));
}

/** The component that the token is for. @throws ApiError 401 */
export function openUploadToken(token: string, instanceName: string, secretHex: string, nowMs: number): string {
  const fields = open(token, secretHex);
  if (fields === undefined) throw refused("StorageTokenInvalid", "Couldn't decode the StoreFileAuthorization token");
  const name = fields.get(1);
  const store = fields.get(3);
  if (
    !(name instanceof Uint8Array) ||
    Buffer.from(name).toString() !== instanceName ||
    !(store instanceof Uint8Array)
  ) {
    throw refused("InvalidStorageToken", "Storage token is for invalid instance {instance_name}");
  }
  if (nowMs / 1000 - Number(fields.get(2) ?? 0) > VALID_S) {
    throw refused("StorageTokenExpired", "Store File Authorization expired");
  }
  const component = readProtobuf(store)?.get(1);
  return component instanceof Uint8Array ? Buffer.from(component).toString() : "";
}

function refused(code: string, message: string): ApiError {
  return new ApiError(401, code, message);
}

function open(token: string, secretHex: string): Map<number, bigint | Uint8Array> | undefined {
  if (!/^(?:[0-9a-f]{2}){14,}$/i.test(token)) return undefined;
  const sealed = Buffer.from(token, "hex");
  const key = derivedKey(Buffer.from(secretHex, "hex"), PURPOSE);
  try {
    return readProtobuf(gcmsiv(key, sealed.subarray(1, 13), Uint8Array.of(1)).decrypt(sealed.subarray(13)));
  } catch {
    return undefined;
  }
}
