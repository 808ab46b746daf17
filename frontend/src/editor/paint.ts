/** The network from far away, drawn at once: cards in their devices' colours and patterns, frames, edges. No text but titles. */
import { COLOR_COUNT, type Marks } from "@/devices/palette";
import type { FoldTree } from "@/graph/folds";
import { CARD_HEIGHT, CARD_WIDTH, type Layout, type ShownEdge } from "@/graph/layout";
import { at, type Network } from "@/graph/network";
import { nodesOfItem } from "@/graph/select";
import { differing } from "@/plan/compare";
import type { Content } from "@/plan/content";
import { sharesOfLayers, type DeviceShare } from "@/plan/shares";
import { trafficOf } from "@/plan/traffic";
import { cutWidth } from "./cutWidth";
import { patternOf } from "./patterns";
import type { Camera } from "./flow";
import type { Trouble } from "./troubles";

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
  /** From cold to hot. */
  heat: readonly string[];
}

const HEAT_STEPS = 16;

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
    heat: Array.from({ length: HEAT_STEPS + 1 }, (_, step) => `color-mix(in oklab, ${colour("heat")} ${(100 * step) / HEAT_STEPS}%, ${colour("panel")})`),
  };
}

/** What a card is filled with: the devices of its layers, by share. */
export interface Fill {
  isEnd: boolean;
  parts: readonly DeviceShare[];
  /** Where the plan that is compared with has them; null where that is alike, or nothing is compared. */
  other: readonly DeviceShare[] | null;
  /** Whether it steps back, being alike in both plans. */
  isPale: boolean;
}

/** `other` is the plan that is compared with, if any. */
export function fillsOf(network: Network, tree: FoldTree, { items }: Pick<Layout, "items">, content: Content, other: Content | null): Fill[] {
  return items.map((item) => {
    const nodes = nodesOfItem(tree, item).map((node) => at(network.nodes, node));
    const isEnd = nodes.some(({ kind }) => kind !== "layer");
    const layers = isEnd ? [] : nodes.map(({ name }) => name);
    const isApart = other !== null && differing(layers, content, other).length > 0;
    return { isEnd, parts: isEnd ? [] : sharesOfLayers(content, layers), other: isApart ? sharesOfLayers(other, layers) : null, isPale: other !== null && !isApart };
  });
}

const drawn = new WeakMap<ShownEdge, Path2D>();

/** An edge's path, read once: reading thousands takes longer than drawing them. */
export function drawnPath(edge: ShownEdge): Path2D {
  let path = drawn.get(edge);
  if (!path) drawn.set(edge, (path = new Path2D(edge.path)));
  return path;
}

/** Edges in a few strokes: thin ones, and cuts by their width. */
export type Strokes = readonly { width: number; isCut: boolean; path: Path2D }[];

export function strokesOf(network: Network, { edges }: Pick<Layout, "edges">, content: Content): Strokes {
  const byWidth = new Map<number, Path2D>();
  for (const edge of edges) {
    const traffic = trafficOf(network, content, edge.edges);
    const width = traffic && !traffic.isStudio ? Math.round(cutWidth(traffic.bytes)) : 0;
    let stroke = byWidth.get(width);
    if (!stroke) byWidth.set(width, (stroke = new Path2D()));
    stroke.addPath(drawnPath(edge));
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
  outline: readonly ("selected" | "partly" | "hit" | null)[];
  /** By item: whether something is said of a layer in it. */
  trouble: readonly (Trouble["severity"] | null)[];
  /** By item how warm it is, from 0 to 1: the devices are then a stripe. */
  heats: readonly number[] | null;
  /** By item: whether it is hardly seen, because something else is looked for. */
  faint: readonly boolean[];
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
  const marked: { trouble: Trouble["severity"]; card: Box }[] = [];
  picture.layout.items.forEach((item, index) => {
    const card = { x: item.x * zoom + camera.x, y: item.y * zoom + camera.y, width: CARD_WIDTH * zoom, height: CARD_HEIGHT * zoom };
    if (card.x > width || card.y > height || card.x + card.width < 0 || card.y + card.height < 0) return;
    context.globalAlpha = picture.faint[index] ? FAINT : 1;
    paintCard(context, picture, ink, index, card);
    context.globalAlpha = 1;
    const trouble = picture.trouble[index] ?? null;
    if (trouble !== null) marked.push({ trouble, card });
  });
  // Above all cards: a mark is larger than the small ones.
  for (const { trouble, card } of marked) paintTrouble(context, ink, trouble, card);
  if (picture.strokes) paintTitles(context, picture, ink, camera);
}

/** Of a card's width, what shows its devices beside its heat. */
const HEAT_STRIPE = 0.18;

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Devices' colours and patterns, stacked by share. */
function paintParts(context: CanvasRenderingContext2D, marks: Marks, ink: Ink, parts: Fill["parts"], { x, y, width, height }: Box): void {
  let top = y;
  for (const { device, share } of parts) {
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
}

/** How much is left of the colour of what is alike in both plans, and of what is not looked for. */
const PALE = 0.28;
const FAINT = 0.18;

/** A plan's own devices on the left, those of the plan that it is compared with on the right; `width` is of each. */
function paintBoth(context: CanvasRenderingContext2D, marks: Marks, ink: Ink, { parts, other }: Fill, card: Box, width: number): void {
  const right = card.x + card.width - width;
  paintParts(context, marks, ink, parts, { ...card, width });
  paintParts(context, marks, ink, other ?? [], { ...card, x: right, width });
  context.fillStyle = ink.panel;
  context.fillRect(right - 0.75, card.y, 1.5, card.height);
  context.strokeStyle = ink.text;
  context.lineWidth = 1.5;
  context.strokeRect(card.x, card.y, card.width, card.height);
}

function paintCard(context: CanvasRenderingContext2D, { fills, marks, outline, blamed, heats }: Picture, ink: Ink, index: number, card: Box): void {
  const { x, y, width, height } = card;
  const fill = at(fills, index);
  context.fillStyle = fill.isEnd ? ink.canvas : ink.panel;
  context.fillRect(x, y, width, height);
  const isWarm = heats !== null && !fill.isEnd;
  if (isWarm) {
    context.fillStyle = at(ink.heat, Math.round(at(heats, index) * HEAT_STEPS));
    context.fillRect(x, y, width, height);
  }
  if (fill.other) paintBoth(context, marks, ink, fill, card, width * (isWarm ? HEAT_STRIPE : 0.5));
  else {
    // A card that is faint already stays so.
    const alpha = context.globalAlpha;
    if (fill.isPale) context.globalAlpha = alpha * PALE;
    paintParts(context, marks, ink, fill.parts, isWarm ? { ...card, width: width * HEAT_STRIPE } : card);
    context.globalAlpha = alpha;
  }
  const around = outline[index] ?? (blamed !== null && fill.parts.some(({ device }) => device === blamed) ? "blamed" : null);
  const colour = { selected: ink.accent, partly: ink.accent, hit: ink.hit, blamed: ink.warn };
  const isPlain = around === null;
  if (isPlain && (fill.other !== null || width < 8 || (fill.parts.length > 0 && fill.parts[0]?.device !== ""))) return;
  context.strokeStyle = isPlain ? ink.line : colour[around];
  context.lineWidth = isPlain || around === "partly" ? 1 : 2.5;
  context.strokeRect(x, y, width, height);
}

const MARK_PX = 4.5;

/** The shapes of the cards' own marks: round for an error, pointed for a warning. */
function paintTrouble(context: CanvasRenderingContext2D, ink: Ink, trouble: Trouble["severity"], { x, y, width, height }: Box): void {
  const [cx, cy] = [x + width, y + Math.min(height / 2, MARK_PX)];
  context.beginPath();
  if (trouble === "error") context.arc(cx, cy, MARK_PX, 0, 2 * Math.PI);
  else {
    context.moveTo(cx, cy - MARK_PX - 1);
    context.lineTo(cx + MARK_PX + 1, cy + MARK_PX);
    context.lineTo(cx - MARK_PX - 1, cy + MARK_PX);
    context.closePath();
  }
  context.fillStyle = trouble === "error" ? ink.bad : ink.warn;
  context.strokeStyle = ink.canvas;
  context.lineWidth = 2;
  context.stroke();
  context.fill();
  context.fillStyle = ink.canvas;
  context.fillRect(cx - 0.75, cy - 2.5, 1.5, 3);
  context.fillRect(cx - 0.75, cy + 1.25, 1.5, 1.5);
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
