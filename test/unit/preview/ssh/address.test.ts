import { describe, expect, it } from "vitest";
import { parseSshAddress } from "../../../../src/preview/ssh/address.ts";

describe("parseSshAddress", () => {
  it.each([
    ["ssh://deploy@preview.example.com", { user: "deploy", host: "preview.example.com", port: 22 }],
    ["ssh://deploy@preview.example.com:2222/", { port: 2222, where: "ssh://deploy@preview.example.com:2222" }],
    ["ssh://a@h/run/user/1000/docker.sock", { socket: "/run/user/1000/docker.sock" }],
    ["ssh://a@[2001:db8::1]", { host: "2001:db8::1", where: "ssh://a@[2001:db8::1]" }],
  ])("reads %s", (text, parts) => {
    expect(parseSshAddress(text)).toMatchObject({ socket: "/var/run/docker.sock", ...parts });
  });

  it.each([
    "ssh://preview.example.com",
    "ssh://-oProxyCommand=x@host",
    "ssh://user@-oProxyCommand=x",
    "ssh://user@host/run/a;id",
    "ssh://user@host/$(id)",
    "ssh://user@host?x=1",
    "ssh://us er@host",
    "ssh://",
    "https://host",
  ])("refuses %s, which ssh or a shell might take for something else", (text) => {
    expect(() => parseSshAddress(text)).toThrow(expect.objectContaining({ code: "ssh-address-invalid" }));
  });

  it("does not repeat a password", () => {
    expect(() => parseSshAddress("ssh://user:hunter2@host")).toThrow(/:\*\*\*@host/);
    expect(() => parseSshAddress("ssh://user:hunter2@host")).not.toThrow(/hunter2/);
  });
});
