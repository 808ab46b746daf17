import { beforeEach, describe, expect, it } from "vitest";
import { openPalette, paletteStore, typedAhead } from "./palette";

const press = (key: string, ctrlKey = false) => typedAhead({ key, ctrlKey, metaKey: false, altKey: false });

describe("typing before the palette is there", () => {
  beforeEach(openPalette);

  it("goes into the palette, and is no key of a command", () => {
    for (const key of ["s", "t", " ", "x", "Backspace", "Enter", "Shift"]) expect(press(key)).toBe(true);
    expect(paletteStore.getState().text).toBe("st ");
  });

  it("leaves keys with Ctrl alone, and ends with Escape", () => {
    expect(press("z", true)).toBe(false);
    press("Escape");
    expect(press("t")).toBe(false);
  });
});
