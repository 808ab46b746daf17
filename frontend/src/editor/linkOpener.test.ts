// @vitest-environment happy-dom
// @vitest-environment-options { "url": "http://studio.test/m/net" }
import { afterEach, expect, test } from "vitest";
import { rendered } from "@/app/rendered";
import { buildFolds } from "@/graph/folds";
import { layoutGraph } from "@/graph/layout";
import { residualNet } from "@/graph/samples";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import type { Camera } from "./flow";
import { LinkOpener } from "./LinkOpener";
import { resetView, viewStore } from "./view";

const { network, blocks } = residualNet([2, 2]);
const tree = buildFolds(network, blocks);
const MOST = { macs: 1, parameters: 1, activation: 1, seconds: 1, joules: 1 };
const sceneOf = (open: readonly string[]): Scene => ({
  network, tree, most: MOST,
  layout: layoutGraph({ count: network.nodes.length, from: network.edges.map(({ from }) => from), to: network.edges.map(({ to }) => to), tree, window: { width: 900, height: 700 }, open }),
});

afterEach(() => {
  cameraMan.leave();
  resetView(null);
});

test("a link waits for the picture in which its blocks are open, though costs come before that", () => {
  let camera: Camera = { x: 0, y: 0, zoom: 1 };
  cameraMan.control = { camera: () => camera, goal: () => camera, moveTo: (to) => (camera = to), toCanvas: (point) => point };
  const folded = sceneOf([]);
  const look = (scene: Scene) => ({ search: `?n=${network.nodes.length}&sel=4&open=stage1&at=4&x=0&y=0&z=1`, scene, loaded: true });
  cameraMan.take(folded.layout);
  const hook = rendered(LinkOpener, look(folded));
  expect(viewStore.getState().folds?.open).toEqual(["stage1"]);
  hook.draw(look({ ...folded, most: { ...MOST, seconds: 2 } }));
  expect(viewStore.getState().selection.size).toBe(0);
  const open = sceneOf(["stage1"]);
  cameraMan.take(open.layout);
  hook.draw(look(open));
  expect([...viewStore.getState().selection]).toEqual([4]);
  hook.end();
});
