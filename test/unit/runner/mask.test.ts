import { describe, expect, it } from "vitest";
import { maskedForms } from "../../../src/runner/mask.ts";

describe("maskedForms", () => {
  it("covers the forms in which a secret turns up elsewhere", () => {
    const secret = 'p@ss "word"/1';
    const forms = maskedForms(secret);
    expect(forms).toContain(secret);
    expect(forms).toContain('p@ss \\"word\\"/1');
    expect(forms).toContain(Buffer.from(secret).toString("base64"));
    expect(forms).toContain(encodeURIComponent(secret));
  });
  // Written out, not computed: what is looked for must not follow from what is made.
  it.each([
    ["as it is", "a+b/c?>~\\ü\n-second-"],
    ["its first line", "a+b/c?>~\\ü"],
    ["its second line", "-second-"],
    ["in JSON", "a+b/c?>~\\\\ü\\n-second-"],
    ["in JSON within JSON", "a+b/c?>~\\\\\\\\ü\\\\n-second-"],
    ["in base64", "YStiL2M/Pn5cw7wKLXNlY29uZC0="],
    ["in base64 for URLs", "YStiL2M_Pn5cw7wKLXNlY29uZC0"],
    ["in a URL", "a%2Bb%2Fc%3F%3E~%5C%C3%BC%0A-second-"],
    ["its first line in base64", "YStiL2M/Pn5cw7w="],
    ["its first line in a URL", "a%2Bb%2Fc%3F%3E~%5C%C3%BC"],
  ])("masks a secret %s", (_, form) => {
    expect(maskedForms("a+b/c?>~\\ü\n-second-")).toContain(form);
  });
  it("masks the lines of a PEM, but not its frame, which is public", () => {
    const pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nabcdefgh12345678\n-----END PRIVATE KEY-----\n";
    const forms = maskedForms(pem);
    expect(forms).toContain("MIIEvQIBADANBgkq");
    expect(forms).toContain("abcdefgh12345678");
    expect(forms).not.toContain("-----BEGIN PRIVATE KEY-----");
  });
  it("masks the words of a PEM on one line", () => {
    const forms = maskedForms(
      "-----BEGIN PRIVATE KEY----- MIIEvQIBADANBgkq abcdefgh12345678 -----END PRIVATE KEY-----",
    );
    expect(forms).toContain("MIIEvQIBADANBgkq");
    expect(forms).not.toContain("PRIVATE");
  });
  it("leaves out forms that would spoil every log", () => {
    expect(maskedForms("true")).toEqual([]);
    expect(maskedForms("short\nlonger-than-eight").filter((form) => form.length < 8)).toEqual([]);
  });
});
