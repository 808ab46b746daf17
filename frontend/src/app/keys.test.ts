// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { isFree, isPressed, isSingle, strokesOf } from "./keys";

const press = (key: string, held: Partial<Record<"ctrlKey" | "metaKey" | "shiftKey" | "altKey", boolean>> = {}, code = "") => ({ key, code, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...held });
const takes = (keys: string, event: ReturnType<typeof press>) => strokesOf(keys).some((stroke) => isPressed(stroke, event));

describe("keys of a command", () => {
  it("are those that are shown, each of several", () => {
    expect(takes("Ctrl Shift Z or Ctrl Y", press("Z", { ctrlKey: true, shiftKey: true }))).toBe(true);
    expect(takes("Ctrl Shift Z or Ctrl Y", press("y", { ctrlKey: true }))).toBe(true);
    expect(takes("Ctrl Shift Z or Ctrl Y", press("z", { ctrlKey: true }))).toBe(false);
    expect(takes("Ctrl K", press("k", { metaKey: true }))).toBe(true);
    expect(takes("O", press("O", { shiftKey: true }))).toBe(false);
    expect(takes("Shift O", press("O", { shiftKey: true }))).toBe(true);
    expect(takes("O", press("o", { ctrlKey: true }))).toBe(false);
  });

  it("need no Shift of their own for characters, whatever the keyboard needs", () => {
    expect(takes("?", press("?", { shiftKey: true }))).toBe(true);
    expect(takes("/ or Ctrl F", press("/", { shiftKey: true }))).toBe(true);
    expect(takes("+", press("="))).toBe(true);
    expect(takes("−", press("-"))).toBe(true);
    expect(takes("Del", press("Backspace"))).toBe(true);
    expect(takes("3", press("3"))).toBe(true);
  });

  it("are found by their place on keyboards of other scripts", () => {
    expect(takes("T", press("е", {}, "KeyT"))).toBe(true);
    expect(takes("T", press("y", {}, "KeyT"))).toBe(false);
  });

  it("leave fields, menus and dialogs alone", () => {
    document.body.innerHTML = '<input id="field"><input id="switch" type="checkbox"><div role="dialog"><button id="inside"></button></div><dialog open><pre id="signed-out" tabindex="0"></pre></dialog><button id="free"></button>';
    const free = (keys: string, id: string) => isFree(strokesOf(keys)[0] ?? { key: "", ctrl: false, shift: false, alt: false }, document.getElementById(id));
    expect(free("T", "field")).toBe(false);
    expect(free("T", "switch")).toBe(true);
    expect(free("Ctrl Z", "field")).toBe(false);
    expect(free("Ctrl K", "field")).toBe(true);
    expect(free("F7", "field")).toBe(true);
    expect(free("F7", "inside")).toBe(false);
    expect(free("Ctrl K", "inside")).toBe(false);
    expect(free("Del", "signed-out")).toBe(false);
    expect(free("Ctrl K", "signed-out")).toBe(false);
    expect(free("T", "free")).toBe(true);
  });

  it("know which could be pressed by mistake", () => {
    expect(strokesOf("/ or Ctrl F").map(isSingle)).toEqual([true, false]);
    expect(strokesOf("Del").map(isSingle)).toEqual([false]);
  });
});
