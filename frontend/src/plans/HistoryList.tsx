/** Every step by its name, the newest on top; what was undone is grey until a new edit. A press goes there. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { formatAgo, plural } from "@/app/format";
import { useNow } from "@/live/store";
import { goTo, useHistory } from "@/plan/store";
import { rowsOf } from "./steps";

const ROW_PX = 30;
const SHOWN = 11;

export default function HistoryList({ close }: { close: () => void }) {
  const history = useHistory();
  const now = useNow();
  const list = useRef<HTMLDivElement>(null);
  const rows = rowsOf(history);
  useEffect(() => list.current?.focus(), []);
  const present = history.future.length;
  const [asked, setActive] = useState<number | null>(null);
  const active = Math.min(asked ?? present, rows.length - 1);
  // eslint-disable-next-line react-hooks/incompatible-library -- its functions are called in this component only
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => list.current, estimateSize: () => ROW_PX, overscan: 6, initialOffset: Math.max(0, present - 3) * ROW_PX });
  const go = (row: number) => {
    goTo(rows.length - 1 - row);
    setActive(null);
  };
  const key = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowUp: active - 1, ArrowDown: active + 1, PageUp: active - SHOWN, PageDown: active + SHOWN, Home: 0, End: rows.length - 1 };
    const to = moves[event.key];
    if (to !== undefined) {
      const next = Math.min(Math.max(to, 0), rows.length - 1);
      setActive(next);
      virtual.scrollToIndex(next);
    } else if (event.key === "Enter" || event.key === " ") go(active);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <h2>History</h2>
      <div
        ref={list}
        className="history-steps"
        role="listbox"
        aria-label="Steps, the newest first"
        aria-activedescendant={`history-step-${active}`}
        tabIndex={0}
        onKeyDown={key}
        style={{ height: Math.min(rows.length, SHOWN) * ROW_PX + 2 }}
      >
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const row = rows[index];
            if (!row) return null;
            const classes = ["history-step", index < present && "is-undone", index === present && "is-present", index === active && "is-active"];
            return (
              <div
                key={index}
                id={`history-step-${index}`}
                role="option"
                aria-selected={index === present}
                aria-setsize={rows.length}
                aria-posinset={index + 1}
                className={classes.filter(Boolean).join(" ")}
                style={{ transform: `translateY(${start}px)`, height: ROW_PX }}
                title={row.label}
                onClick={() => go(index)}
                data-testid="history-step"
              >
                <span>{row.label}</span>
                {index < present && <span className="visually-hidden">, undone</span>}
                {index === present && <small>now</small>}
                {row.at !== null && index !== present && <small>{formatAgo(new Date(row.at).toISOString(), now)}</small>}
              </div>
            );
          })}
        </div>
      </div>
      <p className="hint">
        {history.dropped > 0 ? `${plural(history.dropped, "older step")} had to be let go. ` : ""}
        {rows.length === 1 ? "Nothing was changed yet." : "Press a step to go there. What is undone stays until the next edit."}
      </p>
    </>
  );
}
