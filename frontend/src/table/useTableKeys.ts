/** The keys of the table: a treegrid whose rows have the focus, and cells after the right arrow. */
import { useMemo, useState, type KeyboardEvent } from "react";
import { plural } from "@/app/format";
import { select, toggleAll, viewStore } from "@/editor/view";
import { nodesOf, placeOf, range, type Item } from "./list";

interface TableKeys {
  items: readonly Item[];
  columns: number;
  /** The row that has the focus; -1: none. */
  active: number;
  /** Rows that fit into the window. */
  page: number;
  setActive: (place: number) => void;
  setGroup: (fold: number, open: boolean) => void;
}

export interface CellFocus {
  /** -1: the row as a whole. */
  cell: number;
  /** Where a range begins. */
  anchor: number;
  setAnchor: (place: number) => void;
  key: (event: KeyboardEvent<HTMLElement>) => void;
}

export function useTableKeys({ items, columns, active, page, setActive, setGroup }: TableKeys): CellFocus {
  const [column, setCell] = useState(-1);
  // A group has no cells, and columns go while one stands in the last of them.
  const cell = items[active]?.kind === "row" ? Math.min(column, columns - 1) : -1;
  // A layer, and no place: sorting and searching move the rows.
  const [begun, setBegun] = useState<number | null>(null);
  const anchor = useMemo(() => (begun === null ? -1 : placeOf(items, begun)), [items, begun]);
  const setAnchor = (place: number) => {
    const item = items[place];
    setBegun(item ? (nodesOf(item)[0] ?? null) : null);
  };
  const last = items.length - 1;

  const go = (place: number, event: KeyboardEvent) => {
    const next = Math.max(0, Math.min(place, last));
    const item = items[next];
    if (!item) return;
    setActive(next);
    if (event.shiftKey) {
      const from = anchor >= 0 ? anchor : Math.max(active, 0);
      setAnchor(from);
      take(range(items, from, next), nodesOf(item)[0]);
    } else {
      setAnchor(next);
      if (event.ctrlKey || event.metaKey) viewStore.setState({ cursor: nodesOf(item)[0] ?? null });
      else take(nodesOf(item), nodesOf(item)[0]);
    }
  };
  const toggle = () => {
    const item = items[active];
    if (!item) return;
    const nodes = nodesOf(item);
    toggleAll(nodes);
    viewStore.setState(({ selection }) => ({ announcement: `${plural(selection.size, "layer")} selected` }));
    setAnchor(active);
  };

  const key = (event: KeyboardEvent<HTMLElement>) => {
    if (event.target !== event.currentTarget) return;
    const item = items[active];
    const command = event.ctrlKey || event.metaKey;
    const closed = item?.kind === "group" && !item.isOpen;
    if (event.key === "ArrowDown") go(active + 1, event);
    else if (event.key === "ArrowUp") go(active < 0 ? 0 : active - 1, event);
    else if (event.key === "PageDown") go(active + page, event);
    else if (event.key === "PageUp") go(active - page, event);
    else if (event.key === "Home" && (cell < 0 || command)) go(0, event);
    else if (event.key === "End" && (cell < 0 || command)) go(last, event);
    else if (event.key === "Home") setCell(0);
    else if (event.key === "End") setCell(columns - 1);
    else if (event.key === "ArrowRight" && closed) setGroup(item.fold, true);
    else if (event.key === "ArrowRight" && item?.kind === "row") setCell(Math.min(cell + 1, columns - 1));
    else if (event.key === "ArrowLeft" && cell >= 0) setCell(cell - 1);
    else if (event.key === "ArrowLeft" && item?.kind === "group" && item.isOpen) setGroup(item.fold, false);
    else if (event.key === " ") toggle();
    else if (event.key === "Escape") {
      select([]);
      viewStore.setState({ detailsOpen: false });
    } else if (event.key === "Enter" && item?.kind === "group") setGroup(item.fold, !item.isOpen);
    else if (event.key === "Enter" && item) viewStore.setState({ detailsOpen: true });
    else return;
    event.preventDefault();
  };
  return { cell, anchor, setAnchor, key };
}

/** Select these, with the cursor where the hand is. */
function take(nodes: readonly number[], cursor: number | undefined): void {
  select(nodes, cursor);
  viewStore.setState({ announcement: nodes.length > 1 ? `${plural(nodes.length, "layer")} selected` : "" });
}
