// @vitest-environment happy-dom
import { act, type KeyboardEvent } from "react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rendered } from "@/app/rendered";
import { viewStore } from "@/editor/view";
import { buildFolds } from "@/graph/folds";
import { residualNet } from "@/graph/samples";
import { EMPTY } from "@/plan/content";
import { groupedList, plainList, type Item } from "./list";
import { rowsOf, rowSource } from "./rows";
import { useTableKeys } from "./useTableKeys";

const { network, blocks } = residualNet([2, 1]);
const tree = buildFolds(network, blocks);
const rows = rowsOf(rowSource({ layers: [] }, network, tree), EMPTY, new Map(), new Map());

/** A table of some items in which the row stands that `setActive` says. */
function table(items: readonly Item[], active: number, columns = 5) {
  const groups: [fold: number, open: boolean][] = [];
  let at = active;
  const args = (shown = items, count = columns) => [{ items: shown, columns: count, active: at, page: 10, setActive: (place: number) => (at = place), setGroup: (fold: number, open: boolean) => void groups.push([fold, open]) }] as const;
  const hook = rendered(useTableKeys, ...args());
  const draw = (shown = items, count = columns) => hook.draw(...args(shown, count));
  const press = (key: string, shiftKey = false) => {
    const host = document.createElement("div");
    act(() => hook.now().key({ key, shiftKey, target: host, currentTarget: host, preventDefault: () => undefined } as unknown as KeyboardEvent<HTMLElement>));
    draw();
  };
  return { hook, draw, press, groups, stand: (place: number) => ((at = place), draw()) };
}

const selected = () => [...viewStore.getState().selection];

beforeEach(() => viewStore.setState({ selection: new Set() }));
afterEach(() => viewStore.setState({ selection: new Set() }));

test("the left arrow folds a group at once, though a cell of a row had the focus before", () => {
  const items = groupedList(rows, tree, new Set());
  const row = items.findIndex(({ kind }) => kind === "row");
  const { hook, press, groups, stand } = table(items, row);
  press("ArrowRight");
  press("ArrowRight");
  expect(hook.now().cell).toBe(1);
  const group = items.findIndex((item) => item.kind === "group" && item.fold >= 0);
  stand(group);
  expect(hook.now().cell).toBe(-1);
  press("ArrowLeft");
  expect(groups).toEqual([[(items[group] as { fold: number }).fold, false]]);
  stand(row);
  expect(hook.now().cell).toBe(1);
});

test("a cell whose column goes hands the focus to the last one that is there", () => {
  const { hook, press, draw } = table(plainList(rows), 0);
  press("ArrowRight");
  press("End");
  expect(hook.now().cell).toBe(4);
  draw(undefined, 3);
  expect(hook.now().cell).toBe(2);
});

test("a range begins at the layer where it was begun, wherever sorting has put it", () => {
  const { hook, press, draw, stand } = table(plainList(rows), 0);
  press("ArrowDown");
  expect(selected()).toEqual([rows[1]?.node]);
  const turned = plainList([...rows].reverse());
  stand(turned.length - 2);
  draw(turned);
  expect(hook.now().anchor).toBe(turned.length - 2);
});
