/** Drawn above the network while a deployment runs: frames on its cuts, what limits it, stages with their times, and what was lost. */
import { COLOR_COUNT, type Marks } from "@/devices/palette";
import { CARD_HEIGHT, CARD_WIDTH, isShort, ROW_GAP, type Layout, type ShownEdge } from "@/graph/layout";
import type { FoldTree } from "@/graph/folds";
import { at, type Network } from "@/graph/network";
import { LABEL, type Point } from "@/graph/path";
import { nodesOfItem } from "@/graph/select";
import { deviceOf, type Content } from "@/plan/content";
import { devicesOfLayer, placesOfLayer } from "@/plan/divisions";
import { devicesIn, trafficOf } from "@/plan/traffic";
import { STALLED_S } from "@/live/flow";
import { dotsAt, dotsPerS, pairKey, type Load, type PipelineNow } from "@/live/pipeline";
import { FAR_ZOOM } from "./distance";
import type { Camera } from "./flow";
import { drawnPath, type Ink } from "./paint";

/** An edge of the picture on which frames of the deployment travel. */
export interface Way {
  edge: ShownEdge;
  /** `source>target` of all devices that it stands for. */
  pairs: readonly string[];
  /** Of whom the dots are. */
  source: string;
  isStudio: boolean;
  /** Where a label stands on it that dots must not cover; null: nowhere. */
  label: Point | null;
}

/** By card: the devices of its layers in the deployment. */
export interface LiveScene {
  layout: Layout;
  ways: readonly Way[];
  devices: readonly (readonly string[])[];
}

export function liveScene(network: Network, tree: FoldTree, layout: Layout, content: Content): LiveScene {
  const ways = layout.edges.flatMap((edge): Way[] => {
    const traffic = trafficOf(network, content, edge.edges);
    if (!traffic) return [];
    const [sources, sinks] = [devicesIn(traffic.sources), devicesIn(traffic.sinks)];
    const pairs = sources.flatMap((source) => sinks.filter((sink) => sink !== source).map((sink) => pairKey(source, sink)));
    return [{ edge, pairs, source: sources[0] ?? "", isStudio: traffic.isStudio, label: traffic.toldBytes > 0 && !isShort(layout, edge) ? edge.label : null }];
  });
  const devices = layout.items.map((item) => [...new Set(nodesOfItem(tree, item).flatMap((node) => devicesOfLayer(content, at(network.nodes, node).name)))]);
  return { layout, ways, devices };
}

/** The first card of each stage, from above: where its figures stand. */
export function stageCards(network: Network, tree: FoldTree, layout: Layout, content: Content, stages: readonly { name: string; layers: readonly string[] }[]): ReadonlyMap<string, number> {
  const itemOf = new Map<string, number>();
  layout.items.forEach((item, index) => {
    for (const node of nodesOfItem(tree, item)) itemOf.set(at(network.nodes, node).name, index);
  });
  const found = new Map<string, number>();
  for (const { name, layers } of stages) {
    const items = layers.flatMap((layer) => itemOf.get(layer) ?? itemOf.get(layer.split("#")[0] ?? layer) ?? []);
    // A stage that only joins or cuts divided layers has no card of its own.
    const first = items.sort((a, b) => at(layout.items, a).y - at(layout.items, b).y || at(layout.items, a).x - at(layout.items, b).x)[0];
    if (first !== undefined && layers.some((layer) => placesOfLayer(content, layer.split("#")[0] ?? layer).some((place) => deviceOf(content, place) !== ""))) found.set(name, first);
  }
  return found;
}

const samples = new WeakMap<ShownEdge, Float32Array>();

/** Points along an edge, evenly by length: x and y in turn. */
function pointsOf(edge: ShownEdge): Float32Array {
  let points = samples.get(edge);
  if (!points) {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", edge.path);
    const length = path.getTotalLength();
    const count = Math.min(Math.max(Math.ceil(length / 10), 4), 160);
    points = new Float32Array(2 * (count + 1) + 1);
    for (let i = 0; i <= count; i += 1) {
      const { x, y } = path.getPointAtLength((length * i) / count);
      points[2 * i] = x;
      points[2 * i + 1] = y;
    }
    // The length stands last.
    points[2 * (count + 1)] = length;
    samples.set(edge, points);
  }
  return points;
}

const lengthOf = (points: Float32Array): number => points[points.length - 1] ?? 0;

function pointAt(points: Float32Array, share: number): [x: number, y: number] {
  const last = (points.length - 1) / 2 - 1;
  const place = Math.min(Math.max(share, 0), 1) * last;
  const [i, rest] = [Math.min(Math.floor(place), last - 1), place - Math.min(Math.floor(place), last - 1)];
  const [x0, y0, x1, y1] = [points[2 * i] ?? 0, points[2 * i + 1] ?? 0, points[2 * i + 2] ?? 0, points[2 * i + 3] ?? 0];
  return [x0 + (x1 - x0) * rest, y0 + (y1 - y0) * rest];
}

/** Seconds that a dot takes along an edge: longer ones are not much slower. */
const travelS = (length: number): number => 0.7 + Math.min(length, 3000) / 1500;

export interface LivePicture {
  scene: LiveScene;
  now: PipelineNow | null;
  bottleneck: Load | null;
  marks: Marks;
  /** Devices that were lost. */
  lost: ReadonlySet<string>;
  /** By card: what a stage that begins there does. */
  chips: ReadonlyMap<number, readonly { text: string; device: string; queued: number }[]>;
}

export interface Motion {
  /** Dots that have begun on each way; grows, for days. */
  phases: Float64Array;
  /** From 0 to 1 and back; 1 where nothing moves. */
  pulse: number;
  still: boolean;
}

const DOT_PX = 5.5;
const MOST_DOTS = 320;
const LEAST_GAP_PX = 16;

const rateOf = (way: Way, now: PipelineNow): number => way.pairs.reduce((most, pair) => Math.max(most, now.pairs.get(pair)?.framesPerS ?? 0), 0);

/** Let time pass; returns whether anything moves. */
export function advance({ phases }: Motion, { scene, now }: Pick<LivePicture, "scene" | "now">, seconds: number): boolean {
  if (!now || now.framesPerS <= 0) return false;
  let moves = false;
  scene.ways.forEach((way, i) => {
    const dots = dotsPerS(rateOf(way, now));
    phases[i] = (phases[i] ?? 0) + dots * seconds;
    moves ||= dots > 0;
  });
  return moves;
}

interface Place {
  camera: Camera;
  width: number;
  height: number;
  density: number;
}

export function paintLive(context: CanvasRenderingContext2D, picture: LivePicture, motion: Motion, ink: Ink, { camera, width, height, density }: Place): void {
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  const { zoom } = camera;
  const { scene, bottleneck, lost, now } = picture;
  const box = (index: number) => {
    const { x, y } = at(scene.layout.items, index);
    return { x: x * zoom + camera.x, y: y * zoom + camera.y, width: CARD_WIDTH * zoom, height: CARD_HEIGHT * zoom };
  };
  const inView = (card: { x: number; y: number; width: number; height: number }) => card.x < width && card.y < height && card.x + card.width > 0 && card.y + card.height > 0;
  const ring = (index: number, colour: string, line: number, gap: number) => {
    const card = box(index);
    if (!inView(card)) return;
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.beginPath();
    context.roundRect(card.x - gap, card.y - gap, card.width + 2 * gap, card.height + 2 * gap, 5 * Math.min(zoom, 1) + gap);
    context.stroke();
  };
  if (bottleneck) {
    context.globalAlpha = 0.35 + 0.65 * motion.pulse;
    if (bottleneck.kind === "device") scene.devices.forEach((devices, index) => devices.includes(bottleneck.name) && ring(index, ink.warn, zoom < FAR_ZOOM ? 1.5 : 2.5, zoom < FAR_ZOOM ? 1 : 3));
    else {
      const wanted = bottleneck.name.replace("->", ">");
      context.setTransform(density * zoom, 0, 0, density * zoom, camera.x * density, camera.y * density);
      context.strokeStyle = ink.warn;
      context.lineWidth = 12 / Math.max(zoom, 0.5);
      context.globalAlpha *= 0.5;
      for (const { edge, pairs } of scene.ways) if (pairs.includes(wanted)) context.stroke(drawnPath(edge));
      context.setTransform(density, 0, 0, density, 0, 0);
    }
    context.globalAlpha = 1;
  }
  if (now) paintStuck(context, scene, now, ink, camera, density);
  if (lost.size > 0) scene.devices.forEach((devices, index) => devices.some((device) => lost.has(device)) && ring(index, ink.bad, 2.5, zoom < FAR_ZOOM ? 1 : 2));
  if (now && now.framesPerS > 0) paintDots(context, picture, motion, ink, camera, { width, height });
  if (zoom >= 0.4) paintChips(context, picture, ink, box, inView, zoom);
}

/** Cuts on which nothing moves any more, or that are not connected. */
function paintStuck(context: CanvasRenderingContext2D, { ways }: LiveScene, now: PipelineNow, ink: Ink, { x, y, zoom }: Camera, density: number): void {
  const stuck = new Set([...now.pairs].filter(([, pair]) => !pair.connected || pair.stalledS >= STALLED_S).map(([key]) => key));
  if (stuck.size === 0) return;
  context.setTransform(density * zoom, 0, 0, density * zoom, x * density, y * density);
  context.strokeStyle = ink.bad;
  context.lineWidth = 4 / Math.max(zoom, 0.4);
  context.setLineDash([10, 6]);
  for (const { edge, pairs } of ways) if (pairs.some((pair) => stuck.has(pair))) context.stroke(drawnPath(edge));
  context.setLineDash([]);
  context.setTransform(density, 0, 0, density, 0, 0);
}

/** Where a dot stands that does not move: labels are in the middle. */
const STILL_AT = 0.3;

const isUnder = ([lx, ly]: Point, x: number, y: number): boolean => Math.abs(x - lx) < LABEL.x && Math.abs(y - ly) < LABEL.y + DOT_PX;

function paintDots(context: CanvasRenderingContext2D, { scene, now, marks }: LivePicture, { phases, still }: Motion, ink: Ink, { x, y, zoom }: Camera, { width, height }: { width: number; height: number }): void {
  if (!now) return;
  let drawn = 0;
  const radius = Math.min(Math.max(DOT_PX * zoom, 2.5), DOT_PX);
  scene.ways.forEach((way, i) => {
    const dots = dotsPerS(rateOf(way, now));
    if (dots <= 0 || drawn >= MOST_DOTS) return;
    const points = pointsOf(way.edge);
    const length = lengthOf(points);
    const room = Math.min(dots * travelS(length), (length * zoom) / LEAST_GAP_PX);
    const mark = marks.get(way.source);
    const colour = way.isStudio && !mark ? ink.text : mark ? at(ink.devices, mark.slot % COLOR_COUNT) : ink.gone;
    for (const share of still ? [STILL_AT] : dotsAt(phases[i] ?? 0, Math.max(room, 0.35))) {
      const [px, py] = pointAt(points, share);
      // It passes below the label, whose figure tells what passes.
      if (way.label && zoom >= FAR_ZOOM && isUnder(way.label, px, py)) continue;
      const [sx, sy] = [px * zoom + x, py * zoom + y];
      if (sx < -8 || sy < -8 || sx > width + 8 || sy > height + 8 || drawn >= MOST_DOTS) continue;
      drawn += 1;
      context.beginPath();
      context.arc(sx, sy, radius + 1.6, 0, 2 * Math.PI);
      context.fillStyle = ink.panel;
      context.fill();
      context.beginPath();
      context.arc(sx, sy, radius, 0, 2 * Math.PI);
      context.fillStyle = colour;
      context.fill();
    }
  });
}

const CHIP_PX = 10.5;
const CHIP_GAP = 2;
/** What the handle of a boundary takes beside a card's upper left corner, whatever the zoom: its width, and how far it reaches below the middle of the gap between two cards. */
const HANDLE = { width: 22, below: 15 };

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

type BoxOf = (index: number) => Box;

/** Boxes that would cover one another stand below one another; those farther up keep their place. */
export function apart<T extends Box>(boxes: readonly T[], gap: number): T[] {
  const placed: T[] = [];
  for (const box of [...boxes].sort((a, b) => a.y - b.y)) {
    let { y } = box;
    // Placed from above: what this one is moved below is never above an earlier place of its own.
    for (const other of placed.sort((a, b) => a.y - b.y)) {
      if (other.x < box.x + box.width && box.x < other.x + other.width && other.y < y + box.height && y < other.y + other.height) y = other.y + other.height + gap;
    }
    placed.push({ ...box, y });
  }
  return placed;
}

/** What a stage does, at its first card. */
function paintChips(context: CanvasRenderingContext2D, { chips, marks, bottleneck }: LivePicture, ink: Ink, box: BoxOf, inView: (card: ReturnType<BoxOf>) => boolean, zoom: number): void {
  const size = Math.max(CHIP_PX * Math.min(zoom, 1), 8);
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const height = size + 6;
  const signs = [...chips].flatMap(([index, told]) => {
    const card = box(index);
    if (!inView(card)) return [];
    const top = card.y + (card.height - told.length * height - (told.length - 1) * CHIP_GAP) / 2;
    const handle = top < card.y - (ROW_GAP / 2) * zoom + HANDLE.below ? HANDLE.width : 0;
    return told.map(({ text, device }, i) => {
      const width = context.measureText(text).width + size + 8;
      return { text, device, x: card.x - width - 3 - handle, y: top + i * (height + CHIP_GAP), width, height };
    });
  });
  for (const { text, device, x: left, y, width } of apart(signs, CHIP_GAP)) {
    const middle = y + height / 2;
    const mark = marks.get(device);
    context.beginPath();
    context.roundRect(left, y, width, height, height / 2);
    context.fillStyle = ink.panel;
    context.fill();
    context.strokeStyle = bottleneck?.kind === "device" && bottleneck.name === device ? ink.warn : ink.line;
    context.lineWidth = 1.2;
    context.stroke();
    context.beginPath();
    context.arc(left + 3 + size / 2, middle, size / 3, 0, 2 * Math.PI);
    context.fillStyle = mark ? at(ink.devices, mark.slot % COLOR_COUNT) : ink.gone;
    context.fill();
    context.fillStyle = ink.text;
    context.fillText(text, left + size + 4, middle + 0.5);
  }
}
