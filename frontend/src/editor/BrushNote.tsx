/** What the brush paints, over the canvas and at the pointer; and the keys that work while there is a brush. */
import { Button } from "@mantine/core";
import { IconBrush, IconEraser } from "@tabler/icons-react";
import { useEffect } from "react";
import type { Device } from "@/api/types";
import { DeviceSign } from "@/devices/DeviceSign";
import { markClass, useMarks } from "@/devices/marks";
import { deviceOf } from "@/plan/content";
import { usePlan } from "@/plan/store";
import { follow } from "./ghost";
import { takeBrush, useHand } from "./hand";

const MOST_OFFERED = 9;

function isElsewhere(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, textarea, [contenteditable], [role='dialog'], [role='menu']") !== null;
}

/** Esc or B leaves the brush, a number takes another one, Del one that takes layers off their devices. */
function useBrushKeys(on: boolean, devices: readonly Device[]): void {
  useEffect(() => {
    if (!on) return;
    const key = (event: KeyboardEvent) => {
      if (isElsewhere(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      const device = /^[1-9]$/.test(event.key) ? devices[Number(event.key) - 1] : undefined;
      if (event.key === "Escape" || event.key === "b") takeBrush(null);
      else if (device) takeBrush(device.name);
      else if (event.key === "Delete" || event.key === "Backspace") takeBrush("");
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    window.addEventListener("keydown", key, true);
    return () => window.removeEventListener("keydown", key, true);
  }, [on, devices]);
}

export function BrushNote({ devices }: { devices: readonly Device[] }) {
  const brush = useHand((hand) => hand.brush);
  const choosing = useHand((hand) => hand.choosing);
  const marks = useMarks();
  const rest = usePlan((content) => content.rest);
  useBrushKeys(brush !== null || choosing, devices);
  useEffect(() => {
    document.body.classList.toggle("is-painting", brush !== null);
    return () => document.body.classList.remove("is-painting");
  }, [brush]);
  if (brush === null && !choosing) return null;
  const mark = brush === null ? null : (marks.get(deviceOf({ rest }, brush)) ?? null);
  return (
    <>
      <div className="brush-note" role="toolbar" aria-label="Brush" data-testid="brush-note">
        <span className="brush-what" role="status">
          <IconBrush size={15} aria-hidden />
          {brush === null ? "Paint with which device?" : brush === "" ? "Taking layers off their devices" : `Painting ${brush}`}
        </span>
        {devices.slice(0, MOST_OFFERED).map(({ name }) => (
          <button
            key={name}
            type="button"
            className={brush === name ? "brush-choice is-on" : "brush-choice"}
            aria-pressed={brush === name}
            title={name}
            onClick={() => takeBrush(name)}
            data-testid={`brush-${name}`}
          >
            <DeviceSign mark={marks.get(name) ?? null} />
            <span className="visually-hidden">Paint {name}</span>
          </button>
        ))}
        <button type="button" className={brush === "" ? "brush-choice is-on" : "brush-choice"} aria-pressed={brush === ""} aria-label="Take layers off their devices" title="Take layers off their devices (Del)" onClick={() => takeBrush("")} data-testid="brush-none">
          <IconEraser size={15} aria-hidden />
        </button>
        <Button size="compact-xs" variant="default" onClick={() => takeBrush(null)} rightSection={<kbd>Esc</kbd>} data-testid="brush-leave">
          Done
        </Button>
      </div>
      {brush !== null && (
        <span ref={follow} className={`brush-cursor ${brush === "" ? "dev-none" : markClass(mark, true)}`} aria-hidden data-testid="brush-cursor">
          <IconBrush size={14} /> {brush === "" ? "–" : (mark?.initials ?? "?")}
        </span>
      )}
    </>
  );
}
