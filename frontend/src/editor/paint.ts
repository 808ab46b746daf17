/** The network from far away, drawn at once: cards in their devices' colours and patterns, frames, edges. No text but titles. */
import { COLOR_COUNT, type Marks } from "@/devices/palette";
import type { FoldTree } from "@/graph/folds";
import { CARD_HEIGHT, CARD_WIDTH, type Layout } from "@/graph/layout";
import { at, type Network } from "@/graph/network";
import { nodesOfItem } from "@/graph/select";
import type { Content } from "@/plan/content";
import { sharesOfLayers } from "@/plan/shares";
import { trafficOf } from "@/plan/traffic";
import { cutWidth } from "./cutWidth";
import { patternOf } from "./patterns";
import type { Camera } from "./flow";

/** The theme's colours, as the page has them now. */
export interface Ink {
  canvas: string;
  panel: string;
  line: string;
  text: string;
  dim: string;
  edge: string;
  accent: string;
  hit: string;
  bad: string;
  warn: string;
  gone: string;
  devices: readonly string[];
}

export function readInk(): Ink {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--ps-${name}`).trim();
  return {
    canvas: colour("canvas"),
    panel: colour("panel"),
    line: colour("line-strong"),
    text: colour("text"),
    dim: colour("dim"),
    edge: colour("edge"),
    accent: colour("accent"),
    hit: "#e8a400",
    bad: colour("bad"),
    warn: colour("warn"),
    gone: colour("faint"),
    devices: Array.from({ length: COLOR_COUNT }, (_, slot) => colour(`d${slot}`)),
  };
}

/** What a card is filled with: the devices of its layers, by share. */
export interface Fill {
  isEnd: boolean;
  parts: readonly { device: string; share: number }[];
}

export function fillsOf(network: Network, tree: FoldTree, { items }: Pick<Layout, "items">, content: Content): Fill[] {
  return items.map((item) => {
    const nodes = nodesOfItem(tree, item).map((node) => at(network.nodes, node));
    const isEnd = nodes.some(({ kind }) => kind !== "layer");
    return { isEnd, parts: isEnd ? [] : sharesOfLayers(content, nodes.map(({ name }) => name)) };
  });
}

/** Edges in a few strokes: thin ones, and cuts by their width. */
export type Strokes = readonly { width: number; isCut: boolean; path: Path2D }[];

export function strokesOf(network: Network, { edges }: Pick<Layout, "edges">, content: Content): Strokes {
  const byWidth = new Map<number, Path2D>();
  for (const { edges: members, path } of edges) {
    const traffic = trafficOf(network, content, members);
    const width = traffic && !traffic.isStudio ? Math.round(cutWidth(traffic.bytes)) : 0;
    let stroke = byWidth.get(width);
    if (!stroke) byWidth.set(width, (stroke = new Path2D()));
    stroke.addPath(new Path2D(path));
  }
  return [...byWidth].sort(([a], [b]) => a - b).map(([width, path]) => ({ width: width === 0 ? 1 : width, isCut: width > 0, path }));
}

export interface Picture {
  layout: Layout;
  tree: FoldTree;
  fills: readonly Fill[];
  /** Left out where the picture is very small. */
  strokes: Strokes | null;
  marks: Marks;
  /** By item, drawn around it. */
  outline: (item: number) => "selected" | "partly" | "hit" | "wrong" | null;
  /** Whose cards are marked, as what limits the plan. */
  blamed: string | null;
}

interface Place {
  camera: Camera;
  width: number;
  height: number;
  /** Pixels of the screen per unit of the page. */
  density: number;
}

export function paint(context: CanvasRenderingContext2D, picture: Picture, ink: Ink, { camera, width, height, density }: Place): void {
  const { zoom } = camera;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  const toPage = () => context.setTransform(density, 0, 0, density, 0, 0);
  const toNetwork = () => context.setTransform(density * zoom, 0, 0, density * zoom, camera.x * density, camera.y * density);
  toNetwork();
  paintFrames(context, picture, ink, zoom);
  if (picture.strokes) paintStrokes(context, picture.strokes, ink, zoom);
  toPage();
  picture.layout.items.forEach((item, index) => {
    const card = { x: item.x * zoom + camera.x, y: item.y * zoom + camera.y, width: CARD_WIDTH * zoom, height: CARD_HEIGHT * zoom };
    if (card.x > width || card.y > height || card.x + card.width < 0 || card.y + card.height < 0) return;
    paintCard(context, picture, ink, index, card);
  });
  if (picture.strokes) paintTitles(context, picture, ink, camera);
}

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

function paintCard(context: CanvasRenderingContext2D, { fills, marks, outline, blamed }: Picture, ink: Ink, index: number, card: Box): void {
  const { x, y, width, height } = card;
  const fill = at(fills, index);
  context.fillStyle = fill.isEnd ? ink.canvas : ink.panel;
  context.fillRect(x, y, width, height);
  let top = y;
  for (const { device, share } of fill.parts) {
    const part = height * share;
    const mark = marks.get(device);
    if (device !== "") {
      context.fillStyle = mark ? at(ink.devices, mark.slot % COLOR_COUNT) : ink.gone;
      context.fillRect(x, top, width, part);
      const pattern = mark ? patternOf(context, mark.pattern) : patternOf(context, 1);
      if (pattern && height > 5) {
        // The pattern moves with the card.
        context.translate(x, top);
        context.fillStyle = pattern;
        context.fillRect(0, 0, width, part);
        context.translate(-x, -top);
      }
    }
    top += part;
  }
  const around = outline(index) ?? (blamed !== null && fill.parts.some(({ device }) => device === blamed) ? "blamed" : null);
  const colour = { selected: ink.accent, partly: ink.accent, hit: ink.hit, wrong: ink.bad, blamed: ink.warn };
  const isPlain = around === null;
  if (isPlain && (width < 8 || (fill.parts.length > 0 && fill.parts[0]?.device !== ""))) return;
  context.strokeStyle = isPlain ? ink.line : colour[around];
  context.lineWidth = isPlain || around === "partly" ? 1 : 2.5;
  context.strokeRect(x, y, width, height);
}

function paintFrames(context: CanvasRenderingContext2D, { layout }: Picture, ink: Ink, zoom: number): void {
  context.strokeStyle = ink.line;
  context.lineWidth = 1 / zoom;
  for (const { x, y, width, height } of layout.frames) context.strokeRect(x, y, width, height);
}

function paintStrokes(context: CanvasRenderingContext2D, strokes: Strokes, ink: Ink, zoom: number): void {
  for (const { width, isCut, path } of strokes) {
    context.strokeStyle = isCut ? ink.text : ink.edge;
    context.lineWidth = (isCut ? 0.6 + width * 0.45 : 0.8) / zoom;
    context.stroke(path);
  }
}

const TITLE_PX = 11;

/** Titles of outer frames at a size that can be read whatever the zoom, where they have room. */
function paintTitles(context: CanvasRenderingContext2D, { layout, tree }: Picture, ink: Ink, { x, y, zoom }: Camera): void {
  context.font = `600 ${TITLE_PX}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  for (const frame of layout.frames) {
    const fold = at(tree.folds, frame.fold);
    if (fold.depth > 0) continue;
    const room = context.measureText(fold.name).width;
    if (room > frame.width * zoom) continue;
    const [left, top] = [frame.x * zoom + x, frame.y * zoom + y];
    context.fillStyle = ink.canvas;
    context.fillRect(left, top - TITLE_PX - 3, room + 6, TITLE_PX + 3);
    context.fillStyle = ink.dim;
    context.fillText(fold.name, left + 3, top - 1);
  }
}
