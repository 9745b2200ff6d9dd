import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ownsProcess, useBackend, withProcess } from "./support/backend.ts";
import { probe, readOnlyCodes } from "./support/features.ts";
import { at, jsonHeaders } from "./support/http.ts";
import { derivedKey, type KeyFields, type Minted, mintKey, plaintext } from "./support/keys.ts";

interface Vector {
  readonly label: string;
  readonly format: "current" | "legacy";
  readonly instanceName: string;
  readonly secret: string;
  readonly nonce: string;
  readonly fields: { issued: number; memberId?: number; system?: boolean; readOnly?: boolean };
  readonly derivedKeyHex?: string;
  readonly plaintextHex: string;
  readonly adminKey: string;
}
const file = new URL("../fixtures/admin_key_vectors.json", import.meta.url);
const vectors = (JSON.parse(readFileSync(file, "utf8")) as { computed: Vector[] }).computed;

const badDeployKey =
  "The provided deploy key was invalid for this deployment. Double check that the environment this key was generated for matches the desired deployment.";
const badAdminKey = { code: "BadAdminKey", message: "The provided admin key was invalid for this instance" };

const fieldsOf = ({ fields }: Vector): KeyFields => ({
  issued: fields.issued,
  member: fields.memberId ?? null,
  system: fields.system ?? false,
  readOnly: fields.readOnly ?? false,
});

describe("key format", () => {
  it.each(vectors)("2.4 the vector $label is made byte for byte", (vector) => {
    const { instanceName: name, secret } = vector;
    const nonce = Buffer.from(vector.nonce, "hex");
    const made = mintKey({ name, secret, fields: fieldsOf(vector), nonce, legacy: vector.format === "legacy" });
    expect(Buffer.from(plaintext(fieldsOf(vector))).toString("hex")).toBe(vector.plaintextHex);
    if (vector.derivedKeyHex) expect(derivedKey(secret).toString("hex")).toBe(vector.derivedKeyHex);
    expect(made).toBe(vector.adminKey);
  });

  it.skipIf(!ownsProcess).each(vectors)(
    "2.4 an instance with that name and secret takes the vector $label",
    async (vector) => {
      const expected = vector.fields.system ? ["BadDeployKey"] : vector.fields.readOnly ? readOnlyCodes : [undefined];
      await withProcess({ name: vector.instanceName, secret: vector.secret }, async (backend) => {
        const answer = await backend.get("/api/check_admin_key", vector.adminKey);
        const accepted = vector.fields.readOnly && at(answer.json, "isReadOnly") === true;
        if (!accepted) expect(expected).toContain(at(answer.json, "code"));
        const hashes = await backend.post("/api/get_config_hashes", { version: "x", adminKey: vector.adminKey }, null);
        expect(hashes.status).toBe(200);
      });
    },
  );

  it.skipIf(!ownsProcess)("2.4 keys that the real generator issued are accepted as what they are", async () => {
    const secret = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const name = "convex-self-hosted";
    const issued = [
      ["01c3dac21d69c80d024ec1f0a1cbead10f95239f3ecc003700c4251dd453aa4ff96a705a65", 200],
      ["01aba792490567da69709810d4a100d822a6d9f9eff68ad8625afba0f42fe2b2faab410815", 200],
      ["01c3c0a8cb7bd410e0b15f453fed887db9a99eacee9bc77b1aaeb39a0a8932485eeb75a68e", 403],
    ] as const;
    await withProcess({ name, secret }, async (backend) => {
      for (const [hex, status] of issued) {
        expect((await backend.get("/api/check_admin_key", `${name}|${hex}`)).status).toBe(status);
      }
    });
  });
});

const backend = useBackend();
const check = (key: string) => backend.get("/api/check_admin_key", key);
type Made = Omit<Minted, "name" | "secret"> & { name?: string; secret?: string };
const make = (made: Made) => mintKey({ name: backend.name, secret: backend.secret, ...made });

describe("what is accepted", () => {
  const accepted: [string, () => string][] = [
    ["a current key", () => make({})],
    ["member 7", () => make({ fields: { member: 7 } })],
    ["member 300 (two byte varint)", () => make({ fields: { member: 300 } })],
    ["issued in second 1", () => make({ fields: { issued: 1 } })],
    ["issued in the far future", () => make({ fields: { issued: 2n ** 62n } })],
    ["its own name inside", () => make({ fields: { instanceName: backend.name } })],
    ["another name inside, the prefix decides", () => make({ fields: { instanceName: "other" } })],
    ["no prefix with the name inside", () => make({ bare: true, fields: { instanceName: backend.name } })],
    ["the legacy format", () => make({ legacy: true })],
    [
      "the legacy format without prefix, name inside",
      () => make({ legacy: true, bare: true, fields: { instanceName: backend.name } }),
    ],
    [
      "upper case hex",
      () => {
        const [name, hex] = make({}).split("|");
        return `${name}|${hex?.toUpperCase()}`;
      },
    ],
    ["a trailing space", () => `${make({})} `],
    ["the prefix prod:", () => `prod:${make({})}`],
    ["the prefix dev:", () => `dev:${make({})}`],
    ["the prefix local:", () => `local:${make({})}`],
    ["an unknown prefix", () => `anything:${make({})}`],
    ["an empty prefix", () => `:${make({})}`],
  ];
  it.each(accepted)("2.1 accepted: %s", async (_label, key) => {
    const answer = await check(key());
    expect(answer.text).toContain('"success":true');
    expect(answer.status).toBe(200);
  });

  const refused: [string, () => string][] = [
    ["issued_s 0", () => make({ fields: { issued: 0 } })],
    ["neither member nor system", () => make({ fields: { member: null } })],
    ["another secret", () => make({ secret: "99".repeat(32) })],
    ["another name in the prefix", () => make({ name: "other" })],
    ["another name behind prod:", () => `prod:${make({ name: "other" })}`],
    ["another purpose", () => make({ purpose: "store file authorization" })],
    ["an unknown version byte", () => make({ version: 255 })],
    ["version 2", () => make({ version: 2 })],
    ["legacy, another secret", () => make({ legacy: true, secret: "99".repeat(32) })],
    ["legacy, neither prefix nor name", () => make({ legacy: true, bare: true })],
    ["current, neither prefix nor name", () => make({ bare: true })],
    ["one byte missing", () => make({}).slice(0, -2)],
    [
      "one bit flipped",
      () => {
        const key = make({});
        const last = Number.parseInt(key.slice(-1), 16) ^ 1;
        return key.slice(0, -1) + last.toString(16);
      },
    ],
    ["not hex", () => `${backend.name}|zz`],
    ["nothing after |", () => `${backend.name}|`],
    ["only a name", () => backend.name],
    ["preview: drops the name in the header", () => `preview:${make({})}`],
    ["preview:team:project|", () => `preview:team:project|${make({ bare: true })}`],
    ["project:team:project|", () => `project:team:project|${make({ bare: true })}`],
  ];
  it.each(refused)("2.1 refused with 401 BadAdminKey: %s", async (_label, key) => {
    const answer = await check(key());
    expect(answer.json).toEqual(badAdminKey);
    expect(answer.status).toBe(401);
  });

  it("2 a preview: prefix works in query and body, where the whole key is read", async () => {
    const key = `preview:${make({})}`;
    const query = await backend.get(`/api/check_admin_key?adminKey=${encodeURIComponent(key)}`, null);
    expect(query.status).toBe(200);
    const body = await backend.post("/api/get_config_hashes", { version: "1", adminKey: key }, null);
    expect(body.status).toBe(200);
  });

  it("2 a second prefix starts an acting user and is malformed", async () => {
    const answer = await check(`a:b:${make({})}`);
    expect(answer).toMatchObject({
      status: 400,
      json: { code: "HeaderParseFailure", message: "Malformed Authorization header." },
    });
  });

  it("2.3 a system key is 403 BadDeployKey on check_admin_key, in both formats", async () => {
    for (const legacy of [false, true]) {
      const answer = await check(make({ legacy, fields: { system: true } }));
      expect(answer).toMatchObject({ status: 403, json: { code: "BadDeployKey", message: badDeployKey } });
    }
  });

  it("2.3 a read-only key does not prove write access, in both formats", async () => {
    const { operationPermissions } = await probe(backend);
    for (const legacy of [false, true]) {
      const answer = await check(make({ legacy, fields: { readOnly: true } }));
      if (operationPermissions) expect(answer.json).toMatchObject({ isReadOnly: true });
      else {
        expect(answer).toMatchObject({
          status: 403,
          json: { code: "ReadOnlyAdminKey", message: "You do not have permission to perform this operation." },
        });
      }
    }
  });

  it("3.2 success of check_admin_key is JSON with CORS credentials allowed", async () => {
    const answer = await check(backend.key);
    expect(answer.json).toMatchObject({ success: true });
    expect(answer.headers).toMatchObject({
      "content-type": "application/json",
      "access-control-allow-credentials": "true",
    });
    expect(answer.headers.vary).toContain("origin");
  });

  it("3.2 get_config_hashes proves only that a key decrypts", async () => {
    for (const adminKey of [backend.key, backend.systemKey, backend.readOnlyKey]) {
      expect((await backend.post("/api/get_config_hashes", { version: "x", adminKey }, null)).status).toBe(200);
    }
    const bad = await backend.post("/api/get_config_hashes", { version: "x", adminKey: backend.badKey }, null);
    expect(bad).toMatchObject({ status: 401, json: badAdminKey });
  });

  it("3.2 report_push_completed needs write access and answers null", async () => {
    const report = (adminKey: string) =>
      backend.post("/api/deploy2/report_push_completed", { adminKey, spans: [] }, null);
    expect(await report(backend.key)).toMatchObject({ status: 200, text: "null" });
    expect((await report(backend.systemKey)).status).toBe(403);
    expect((await report(backend.readOnlyKey)).status).toBe(403);
  });
});

describe("where the key is read", () => {
  it("3.1 the scheme is case-insensitive", async () => {
    for (const scheme of ["convex", "CONVEX", "Convex"]) {
      const headers = { authorization: `${scheme} ${backend.key}` };
      expect((await backend.send("/api/check_admin_key", { key: null, headers })).status).toBe(200);
    }
  });

  const malformed: [string, (key: string) => string, number, string][] = [
    ["two spaces after Convex", (key) => `Convex  ${key}`, 401, "BadAdminKey"],
    ["a tab after Convex", (key) => `Convex\t${key}`, 400, "InvalidAdminKey"],
    ["nothing between Convex and key", (key) => `Convex${key}`, 400, "InvalidAdminKey"],
    ["only Convex", () => "Convex", 400, "InvalidHeaderFailure"],
    ["Convex and a space", () => "Convex ", 400, "InvalidHeaderFailure"],
    ["three letters", () => "abc", 400, "InvalidHeaderFailure"],
    ["an empty header", () => "", 400, "InvalidHeaderFailure"],
    ["Basic", () => "Basic abc", 400, "InvalidAdminKey"],
    ["Token", (key) => `Token ${key}`, 400, "InvalidAdminKey"],
    ["the bare key", (key) => key, 400, "InvalidAdminKey"],
    ["Bearer garbage", () => "Bearer abc", 401, "InvalidAuthHeader"],
    ["an admin key as Bearer", (key) => `Bearer ${key}`, 401, "InvalidAuthHeader"],
    ["a JWT without issuer", () => "Bearer eyJhbGciOiJub25lIn0.e30.", 401, "InvalidAuthHeader"],
  ];
  it.each(malformed)("3.1 header with %s", async (_label, header, status, code) => {
    const answer = await backend.send("/api/check_admin_key", {
      key: null,
      headers: { authorization: header(backend.key) },
    });
    expect(answer).toMatchObject({ status, json: { code } });
  });

  it("3.1 no credentials on an admin endpoint are 403 BadDeployKey", async () => {
    const answer = await backend.get("/api/check_admin_key", null);
    expect(answer).toMatchObject({ status: 403, json: { code: "BadDeployKey", message: badDeployKey } });
  });

  it("3.1 the query key counts only when there is no header", async () => {
    const right = `/api/check_admin_key?adminKey=${encodeURIComponent(backend.key)}`;
    expect((await backend.get(right, null)).status).toBe(200);
    expect((await backend.get("/api/check_admin_key?adminKey=x", null)).status).toBe(401);
    expect((await backend.get("/api/check_admin_key?adminKey=x")).status).toBe(200);
    expect((await backend.get(right, "x|y")).status).toBe(401);
  });

  it("3.1 body-key endpoints read the body, not the header", async () => {
    const right = await backend.post("/api/get_config_hashes", { version: "1", adminKey: backend.key }, "x|y");
    expect(right.status).toBe(200);
    const none = await backend.post("/api/get_config_hashes", { version: "1" });
    const message =
      "Failed to deserialize the JSON body into the target type: missing field `adminKey` at line 1 column 15";
    expect(none).toMatchObject({ status: 400, json: { code: "BadJsonBody", message } });
    const empty = await backend.post("/api/get_config_hashes", { version: "1", adminKey: "" }, null);
    expect(empty).toMatchObject({ status: 401, json: badAdminKey });
  });

  it("3.1 a body-key endpoint parses the body before it looks at the key", async () => {
    const body = { adminKey: backend.badKey };
    for (const path of ["evaluate_push", "start_push", "finish_push"]) {
      const answer = await backend.post(`/api/deploy2/${path}`, body, null);
      expect(answer).toMatchObject({ status: 400, json: { code: "BadJsonBody" } });
    }
  });

  it("3.1 header endpoints look at the key, then at the body, then at its kind", async () => {
    const path = "/api/update_environment_variables";
    const request = { method: "POST", body: "{}", headers: jsonHeaders };
    expect((await backend.send(path, { ...request, key: backend.badKey })).status).toBe(401);
    for (const key of [null, backend.systemKey, backend.readOnlyKey]) {
      expect(await backend.send(path, { ...request, key })).toMatchObject({
        status: 400,
        json: { code: "BadJsonBody" },
      });
    }
  });

  it("3.1 a bad credential is not anonymous: a public query is 401", async () => {
    const answer = await backend.post("/api/query", { path: "messages:list", args: {} }, backend.badKey);
    expect(answer).toMatchObject({ status: 401, json: badAdminKey });
  });
});
