/** The heads of the columns: pressed, they sort. One Tab stop; the arrow keys go from one to the next. */
import { IconArrowDown, IconArrowUp, IconCheck, IconMinus } from "@tabler/icons-react";
import { useState, type KeyboardEvent } from "react";
import { ariaSort, COLUMNS, nextSort, type ColumnId, type Sort } from "./columns";

interface TableHeadProps {
  columns: readonly ColumnId[];
  template: string;
  sort: Sort | null;
  setSort: (sort: Sort | null) => void;
  /** Whether all rows that are shown are selected, or any layer is. */
  all: boolean;
  some: boolean;
  selectAll: () => void;
}

export function TableHead({ columns, template, sort, setSort, all, some, selectAll }: TableHeadProps) {
  const [last, setStop] = useState(1);
  // A column that goes takes no Tab stop with it.
  const stop = Math.min(last, columns.length);
  const key = (event: KeyboardEvent<HTMLElement>) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    const buttons = [...event.currentTarget.querySelectorAll("button")];
    const next = Math.max(0, Math.min(stop + by, buttons.length - 1));
    setStop(next);
    buttons[next]?.focus();
    event.preventDefault();
  };
  return (
    <div role="rowgroup" className="table-head">
      <div role="row" aria-rowindex={1} className="table-heads" style={{ gridTemplateColumns: template }} onKeyDown={key}>
        <span role="columnheader" aria-colindex={1} className="table-check">
          <button type="button" tabIndex={stop === 0 ? 0 : -1} onFocus={() => setStop(0)} onClick={selectAll} aria-pressed={all} aria-label={all ? "Select nothing" : "Select all rows"} title={all ? "Select nothing" : "Select all rows"} data-testid="table-select-all">
            <i className={some ? "tick is-on" : "tick"}>{all ? <IconCheck size={11} stroke={3} aria-hidden /> : some && <IconMinus size={11} stroke={3} aria-hidden />}</i>
          </button>
        </span>
        {columns.map((id, i) => {
          const { title, told, isNumber } = COLUMNS[id];
          const Icon = sort?.down ? IconArrowDown : IconArrowUp;
          return (
            <span key={id} role="columnheader" aria-colindex={i + 2} aria-sort={ariaSort(sort, id)} className={`table-cell is-${id}${isNumber ? " is-number" : ""}`}>
              <button type="button" tabIndex={stop === i + 1 ? 0 : -1} onFocus={() => setStop(i + 1)} onClick={() => setSort(nextSort(sort, id))} title={told} data-testid={`sort-${id}`}>
                {title}
                {sort?.by === id && <Icon size={12} aria-hidden />}
              </button>
            </span>
          );
        })}
      </div>
    </div>
  );
}
