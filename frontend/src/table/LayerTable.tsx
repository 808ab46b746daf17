/** The layers as a table: the same selection and the same search as in the graph. Only the rows in view are in the page. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState, type MouseEvent, type PointerEvent as ReactPointerEvent } from "react";
import { plural } from "@/app/format";
import { beginDrag } from "@/editor/drag";
import { useFind } from "@/editor/find";
import { isByKey, menuBegins } from "@/editor/menuKey";
import { select, toggleAll, useView, viewStore } from "@/editor/view";
import type { FoldTree } from "@/graph/folds";
import { useChosenColumns } from "./columnChoice";
import { sortOf, sortRows, usualColumns, COLUMNS, type Sort } from "./columns";
import { groupedList, nodesOf, placeOf, plainList, range } from "./list";
import type { LayerRow } from "./rows";
import { GroupRow, Row } from "./Row";
import { TableHead } from "./TableHead";
import { TableTools } from "./TableTools";
import { useTableKeys } from "./useTableKeys";
import "@/styles/devices.css";
import "../styles/table.css";

const ROW_PX = 30;
const HEAD_PX = 32;
/** The selection's bar stands over the lower end. */
const END_PX = 56;

const setSort = (sort: Sort | null): void => viewStore.setState({ sort });
const setGrouped = (grouped: boolean): void => viewStore.setState({ grouped });

interface LayerTableProps {
  rows: readonly LayerRow[];
  /** Nodes that the search finds. */
  hits: readonly number[];
  tree: FoldTree;
  onMenu: (x: number, y: number) => void;
}

export default function LayerTable({ rows, hits, tree, onMenu }: LayerTableProps) {
  const searched = useFind(({ query }) => query !== null);
  const asked = useView((view) => view.sort);
  const sort = useMemo(() => sortOf(asked), [asked]);
  const grouped = useView((view) => view.grouped);
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const chosen = useChosenColumns();
  const columns = useMemo(() => chosen ?? usualColumns(rows), [chosen, rows]);
  const shown = useMemo(() => {
    const found = new Set(hits);
    return sortRows(searched ? rows.filter(({ node }) => found.has(node)) : rows, sort);
  }, [rows, hits, searched, sort]);
  const items = useMemo(() => (grouped ? groupedList(shown, tree, closed) : plainList(shown)), [shown, grouped, tree, closed]);
  const selection = useView((view) => view.selection);
  const cursor = useView((view) => view.cursor);
  const [group, setGroupFocus] = useState(-1);
  const ofCursor = useMemo(() => (cursor === null ? -1 : placeOf(items, cursor)), [items, cursor]);
  // The cursor of the view is a layer; the table can stand on a group, too.
  const focusedGroup = group >= 0 && items[group]?.kind === "group" && nodesOf(items[group])[0] === cursor ? group : -1;
  const active = focusedGroup >= 0 ? focusedGroup : ofCursor;
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- its functions are used in this component only, and never kept
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
    paddingEnd: END_PX,
    scrollPaddingStart: HEAD_PX,
    scrollPaddingEnd: END_PX,
  });
  const page = Math.max(1, Math.floor(((virtual.scrollRect?.height ?? 400) - HEAD_PX - END_PX) / ROW_PX));
  const setGroup = (fold: number, open: boolean) =>
    setClosed((old) => {
      const next = new Set(old);
      if (open) next.delete(fold);
      else next.add(fold);
      return next;
    });
  const focus = useTableKeys({ items, columns: columns.length, active, page, setActive: setGroupFocus, setGroup });

  useEffect(() => scroller.current?.focus({ preventScroll: true }), []);
  const scrollTo = virtual.scrollToIndex;
  useEffect(() => {
    if (active >= 0) scrollTo(active, { align: "auto" });
  }, [active, scrollTo]);

  // One listener for all rows: those that come into view while one scrolls are drawn, and no others.
  const placeUnder = ({ target }: { target: EventTarget | null }): number => Number((target instanceof Element ? target.closest<HTMLElement>("[data-place]") : null)?.dataset["place"] ?? -1);
  const press = (event: ReactPointerEvent) => {
    const place = placeUnder(event);
    const item = items[place];
    if (event.button !== 0 || !item) return;
    scroller.current?.focus({ preventScroll: true });
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest("button")) return;
    const nodes = nodesOf(item);
    const layers = () => {
      const { selection: now } = viewStore.getState();
      if (!nodes.every((node) => now.has(node))) select(nodes);
      const names = new Map(rows.map(({ node, name }) => [node, name]));
      return [...viewStore.getState().selection].map((node) => names.get(node) ?? "");
    };
    const click = () => {
      setGroupFocus(place);
      if (event.shiftKey) {
        select(range(items, focus.anchor >= 0 ? focus.anchor : Math.max(active, 0), place), nodes[0]);
      } else {
        focus.setAnchor(place);
        if (event.ctrlKey || event.metaKey || target?.closest(".table-check")) toggleAll(nodes);
        else select(nodes);
      }
    };
    beginDrag(event.nativeEvent, layers, click);
  };
  const menu = (event: MouseEvent) => {
    const place = isByKey(event) ? active : placeUnder(event);
    const item = items[place];
    if (!item) return;
    event.preventDefault();
    const nodes = nodesOf(item);
    if (!nodes.every((node) => viewStore.getState().selection.has(node))) select(nodes);
    onMenu(...menuBegins(event, `[data-place="${place}"]`));
  };
  const twice = (event: MouseEvent) => {
    const item = items[placeUnder(event)];
    // Pressed twice quickly, these have done their own twice.
    if (event.target instanceof Element && event.target.closest("button, .table-check")) return;
    if (item?.kind === "group") setGroup(item.fold, !item.isOpen);
    else if (item) viewStore.setState({ detailsOpen: true });
  };

  const template = `30px ${columns.map((id) => COLUMNS[id].width).join(" ")}`;
  const at = items[active];
  const focused = at === undefined ? undefined : at.kind === "group" ? `group-${at.fold}` : focus.cell >= 0 ? `cell-${at.row.node}-${focus.cell}` : `row-${at.row.node}`;
  const all = useMemo(() => shown.length > 0 && shown.every(({ node }) => selection.has(node)), [shown, selection]);
  return (
    <section className="table-view" aria-label="Layers">
      <TableTools rows={rows} shown={shown} columns={columns} grouped={grouped} setGrouped={setGrouped} hasGroups={tree.folds.length > 0} searched={searched} />
      <div
        ref={scroller}
        className="layer-table"
        data-testid="layer-table"
        data-layers
        tabIndex={0}
        role="treegrid"
        aria-label={`Table of ${plural(shown.length, "layer")}`}
        aria-multiselectable
        aria-rowcount={items.length + 1}
        aria-colcount={columns.length + 1}
        aria-activedescendant={focused}
        onKeyDown={focus.key}
        onPointerDown={press}
        onContextMenu={menu}
        onDoubleClick={twice}
      >
        <TableHead columns={columns} template={template} sort={sort} setSort={setSort} all={all} some={selection.size > 0} selectAll={() => select(all ? [] : shown.map(({ node }) => node))} />
        <div role="rowgroup" className="table-body" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const item = items[index];
            if (!item) return null;
            const common = { place: index, top: start, template, isCursor: index === active };
            if (item.kind === "group") return <GroupRow key={`group ${item.fold}`} {...common} group={item} columns={columns.length} selection={selection} toggle={() => setGroup(item.fold, !item.isOpen)} />;
            return <Row key={item.row.node} {...common} row={item.row} columns={columns} isSelected={selection.has(item.row.node)} cell={index === active ? focus.cell : -1} grouped={grouped} />;
          })}
        </div>
        {items.length === 0 && <p className="table-none">No layer is found. Change the search, or clear it.</p>}
      </div>
    </section>
  );
}
