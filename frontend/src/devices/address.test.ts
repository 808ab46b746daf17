import { describe, expect, it } from "vitest";
import { joinAddress, splitAddress } from "./address";

const empty = { host: "", user: "", port: "" };

describe("addresses", () => {
  it.each([
    ["pi@192.168.1.20", { user: "pi", host: "192.168.1.20", port: "" }, "ssh://pi@192.168.1.20"],
    ["ssh://pi@board.lan:2222", { user: "pi", host: "board.lan", port: "2222" }, "ssh://pi@board.lan:2222"],
    ["nano", { user: "", host: "nano", port: "" }, "ssh://nano"],
    ["root@[fe80::1]:22", { user: "root", host: "[fe80::1]", port: "22" }, "ssh://root@[fe80::1]:22"],
  ])("%s is taken apart and put together", (typed, parts, address) => {
    expect(splitAddress(typed, empty)).toEqual(parts);
    expect(joinAddress(parts)).toBe(address);
  });
  it("what the host does not say stays as it was", () => {
    expect(splitAddress("board.lan", { host: "", user: "pi", port: "2022" })).toEqual({ host: "board.lan", user: "pi", port: "2022" });
  });
  it("an address without brackets gets them", () => {
    expect(joinAddress({ host: "::1", user: "pi", port: "22" })).toBe("ssh://pi@[::1]:22");
  });
  it("nonsense is left for the studio to judge", () => {
    expect(splitAddress("$(reboot) here", empty)).toEqual({ ...empty, host: "$(reboot) here" });
  });
});
