/** One line of the table: a layer, or the block that holds those below. */
import { IconAlertTriangle, IconCheck, IconChevronDown, IconChevronRight, IconCircleX, IconMinus } from "@tabler/icons-react";
import { memo, useMemo } from "react";
import { formatBytes, formatMacs, plural } from "@/app/format";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { COLUMNS, type ColumnId } from "./columns";
import type { GroupItem } from "./list";
import type { LayerRow } from "./rows";

interface LineProps {
  /** In the list; the table finds by it what was pressed. */
  place: number;
  top: number;
  template: string;
  isCursor: boolean;
}

interface RowProps extends LineProps {
  row: LayerRow;
  columns: readonly ColumnId[];
  isSelected: boolean;
  /** Which cell has the focus; -1: the row. */
  cell: number;
  grouped: boolean;
}

function Line({ row, columns, isSelected, cell, grouped, place, top, template, isCursor }: RowProps) {
  const classes = ["table-row", isSelected && "is-selected", isCursor && "is-cursor", isCursor && cell >= 0 && "has-cell", row.isError && "is-wrong"];
  return (
    <div
      id={`row-${row.node}`}
      role="row"
      aria-rowindex={place + 2}
      aria-level={grouped ? 2 : 1}
      aria-selected={isSelected}
      className={classes.filter(Boolean).join(" ")}
      style={{ transform: `translateY(${top}px)`, gridTemplateColumns: template }}
      data-testid={`row-${row.name}`}
      data-place={place}
    >
      <span role="gridcell" aria-colindex={1} className="table-check" aria-label={isSelected ? "Selected" : "Not selected"}>
        <i className={isSelected ? "tick is-on" : "tick"}>{isSelected && <IconCheck size={11} stroke={3} aria-hidden />}</i>
      </span>
      {columns.map((id, i) => (
        <Cell key={id} id={id} row={row} index={i} hasFocus={isCursor && cell === i} />
      ))}
    </div>
  );
}

export const Row = memo(Line);

function Cell({ id, row, index, hasFocus }: { id: ColumnId; row: LayerRow; index: number; hasFocus: boolean }) {
  const { isNumber, text } = COLUMNS[id];
  const words = text(row);
  const classes = ["table-cell", `is-${id}`, isNumber && "is-number", words === null && "is-absent", hasFocus && "has-focus"];
  return (
    <span id={`cell-${row.node}-${index}`} role={id === "name" ? "rowheader" : "gridcell"} aria-colindex={index + 2} className={classes.filter(Boolean).join(" ")} title={words !== null && !isNumber ? words : undefined}>
      {id === "device" ? <Devices row={row} /> : words === null ? <span aria-label="nothing">–</span> : id === "warning" ? <Warning text={words} isError={row.isError} /> : words}
    </span>
  );
}

function Warning({ text, isError }: { text: string; isError: boolean }) {
  const Icon = isError ? IconCircleX : IconAlertTriangle;
  return (
    <>
      <Icon size={13} className={isError ? "is-bad-icon" : "is-warn-icon"} aria-label={isError ? "Error" : "Warning"} /> {text}
    </>
  );
}

function Devices({ row: { devices, divided, replicated } }: { row: LayerRow }) {
  const marks = useMarks();
  if (devices.length === 0) return <span aria-label="no device">–</span>;
  const joint = divided ? "divided over " : replicated ? "frames shared by " : "";
  return (
    <>
      {devices.slice(0, 4).map((device) => (
        <DeviceSign key={device} mark={marks.get(device) ?? null} />
      ))}
      <span className={devices.length > 1 ? "visually-hidden" : "table-device"}>
        {joint !== "" && <span className="visually-hidden">{joint}</span>}
        {devices.join(", ")}
      </span>
      {devices.length > 1 && <span aria-hidden>{divided ? `÷${devices.length}` : `×${devices.length}`}</span>}
    </>
  );
}

interface GroupRowProps extends LineProps {
  group: GroupItem;
  columns: number;
  selection: ReadonlySet<number>;
  toggle: () => void;
}

export function GroupRow({ group, columns, selection, toggle, place, top, template, isCursor }: GroupRowProps) {
  const { fold, name, rows, isOpen } = group;
  // A block may hold thousands of layers, and is drawn in each frame in which one scrolls.
  const sums = useMemo(() => rows.reduce(({ macs, weights }, row) => ({ macs: macs + row.macs, weights: weights + row.weights }), { macs: 0, weights: 0 }), [rows]);
  const chosen = useMemo(() => rows.reduce((count, { node }) => count + (selection.has(node) ? 1 : 0), 0), [rows, selection]);
  const all = chosen === rows.length;
  const Icon = isOpen ? IconChevronDown : IconChevronRight;
  return (
    <div
      id={`group-${fold}`}
      role="row"
      aria-rowindex={place + 2}
      aria-level={1}
      aria-expanded={isOpen}
      aria-selected={all}
      className={["table-row is-group", all && "is-selected", isCursor && "is-cursor"].filter(Boolean).join(" ")}
      style={{ transform: `translateY(${top}px)`, gridTemplateColumns: template }}
      data-testid={`group-${name}`}
      data-place={place}
    >
      <span role="gridcell" aria-colindex={1} className="table-check" aria-label={all ? "Selected" : chosen > 0 ? "Partly selected" : "Not selected"}>
        <i className={chosen > 0 ? "tick is-on" : "tick"}>{all ? <IconCheck size={11} stroke={3} aria-hidden /> : chosen > 0 && <IconMinus size={11} stroke={3} aria-hidden />}</i>
      </span>
      <span role="rowheader" aria-colindex={2} aria-colspan={columns} className="table-group">
        <button type="button" tabIndex={-1} className="table-fold" aria-label={`${isOpen ? "Fold" : "Open"} ${name}`} onClick={toggle}>
          <Icon size={14} aria-hidden />
        </button>
        <b>{name}</b>
        <span>
          {plural(rows.length, "layer")} · {formatMacs(sums.macs)} · {formatBytes(sums.weights)} of weights
        </span>
      </span>
    </div>
  );
}
