import { expect, it, vi } from "vitest";
import { settle } from "../../../src/deployment/findings.ts";
import type { Finding } from "../../../src/deployment/reach.ts";
import { collectLog } from "./support.ts";

const finding = (level: Finding["level"], code: string): Finding => ({
  level,
  code,
  message: `${code} is wrong.`,
  hint: "Mend it.",
});

it("says all that was found, and ends with the first error", () => {
  const { all, log } = collectLog();
  const written: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  try {
    const findings = [finding("warning", "one"), finding("error", "two"), finding("error", "three")];
    expect(() => settle(findings, log)).toThrow(
      expect.objectContaining({ code: "two", message: "two is wrong.", hint: "Mend it." }),
    );
  } finally {
    write.mockRestore();
  }
  expect(all).toEqual(["warning: [one] one is wrong. → Mend it."]);
  expect(written.join("")).toBe("::error title=three::three is wrong. → Mend it.\n");
});

it("goes on where nothing is an error", () => {
  const { all, log } = collectLog();
  settle([finding("notice", "one"), finding("warning", "two")], log);
  settle([], log);
  expect(all).toEqual(["warning: [one] one is wrong. → Mend it.", "warning: [two] two is wrong. → Mend it."]);
});
