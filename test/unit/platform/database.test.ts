import { describe, expect, it } from "vitest";
import { checkPostgresUrl } from "../../../src/backend/database-url.ts";
import { backendDatabase } from "../../../src/platform/database.ts";

const NEON =
  "postgresql://alex:AbC123dEf@ep-cool-darkness-a1b2c3d4-pooler.us-east-2.aws.neon.tech/neondb?sslmode=require&channel_binding=require";

describe("a provider's connection string", () => {
  it.each([
    [NEON, "postgresql://alex:AbC123dEf@ep-cool-darkness-a1b2c3d4.us-east-2.aws.neon.tech"],
    ["postgres://u:p%2Fw@db.example.com:5433/app", "postgres://u:p%2Fw@db.example.com:5433"],
    ["postgresql://u:p@pg-pooler.example.com/app", "postgresql://u:p@pg-pooler.example.com"],
    ["postgresql://u:p@w@db.example.com/app?pgbouncer=true", "postgresql://u:p@w@db.example.com"],
    ["postgresql://u:p@db.example.com:5432", "postgresql://u:p@db.example.com:5432"],
  ])("%s is for the backend %s", (text, url) => {
    expect(backendDatabase(text, "convex-self-hosted")).toMatchObject({ url, database: "convex_self_hosted" });
    expect(checkPostgresUrl(url, "convex-self-hosted", { requireSsl: true }).database).toBe("convex_self_hosted");
  });

  it("keeps the database that it names for the backend", () => {
    const { url, database, notices } = backendDatabase(
      "postgresql://u@h:5432?dbname=prod&sslmode=require&password=s%26cret99",
      "acme",
    );
    expect(url).toBe("postgresql://u@h:5432?dbname=prod&password=s%26cret99");
    expect(database).toBe("prod");
    expect(notices).toEqual([expect.stringContaining("sslmode left out")]);
  });

  it("comes with what has to be known about it, and nothing of its password", () => {
    const { notices } = backendDatabase(NEON, "acme");
    expect(notices).toEqual([
      expect.stringContaining("direct address"),
      expect.stringContaining("sslmode, channel_binding left out"),
      expect.stringContaining('"acme"'),
    ]);
    expect(notices.join()).not.toContain("AbC123dEf");
    expect(backendDatabase("postgresql://u:p@db.example.com/acme", "acme").notices).toEqual([]);
  });

  it.each([
    ["mysql://u:p@db.example.com", "its scheme is mysql"],
    ["db.example.com", "no URL"],
    ["postgresql://u:p/w@db.example.com/app", "as it is"],
    ["postgresql://db.example.com/app", "no user"],
    ["postgresql://u:p@a.example.com,b.example.com/app", "several hosts"],
  ])("%s is refused: %s", (text, why) => {
    expect(() => backendDatabase(text, "acme")).toThrow(
      expect.objectContaining({ code: "database-url-invalid", message: expect.stringContaining(why) }),
    );
  });
});
