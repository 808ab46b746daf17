/** The planner's left edge: drawn wider by the pointer or the arrow keys; a press makes it wide, and as usual again. */
import { useRef, type KeyboardEvent, type PointerEvent } from "react";
import { PLANNER_WIDTH, widenPlanner } from "@/editor/panels";

const STEP = 20;
/** Less than this is a press. */
const THRESHOLD = 4;

export function ResizeHandle({ width }: { width: number }) {
  const drag = useRef<{ from: number; width: number; moved: boolean } | null>(null);
  const key = (event: KeyboardEvent) => {
    const to = { ArrowLeft: width + STEP, ArrowRight: width - STEP, Home: PLANNER_WIDTH.least, End: PLANNER_WIDTH.most, Enter: other(width) }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    widenPlanner(to);
  };
  const move = (event: PointerEvent) => {
    if (drag.current === null) return;
    const by = drag.current.from - event.clientX;
    if (Math.abs(by) >= THRESHOLD) drag.current.moved = true;
    if (drag.current.moved) widenPlanner(drag.current.width + by);
  };
  return (
    <div
      className="planner-edge"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the planner"
      aria-valuenow={width}
      aria-valuemin={PLANNER_WIDTH.least}
      aria-valuemax={PLANNER_WIDTH.most}
      tabIndex={0}
      title="Drag, or press, to change the width"
      onKeyDown={key}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        drag.current = { from: event.clientX, width, moved: false };
      }}
      onPointerMove={move}
      onPointerUp={() => {
        if (drag.current?.moved === false) widenPlanner(other(width));
        drag.current = null;
      }}
      onPointerCancel={() => {
        drag.current = null;
      }}
      data-testid="planner-edge"
    />
  );
}

/** Wide where it is usual, usual where it is wide. */
const other = (width: number): number => (width < (PLANNER_WIDTH.usual + PLANNER_WIDTH.wide) / 2 ? PLANNER_WIDTH.wide : PLANNER_WIDTH.usual);
