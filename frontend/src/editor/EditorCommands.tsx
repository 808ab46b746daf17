/** What a person can do in the editor, by name and by keys. */
import { useCallback, useEffect, useMemo, useRef, type RefObject } from "react";
import { useCommands, type Command } from "@/app/commands";
import { plural } from "@/app/format";
import { insist } from "@/app/insist";
import { copyText } from "@/app/copyText";
import { useFinder, type Finder } from "@/app/finders";
import type { Device } from "@/api/types";
import { at, type Network } from "@/graph/network";
import type { Place } from "@/graph/trail";
import { closePlanner, openPlanner } from "@/planner/store";
import { openLink, toggleFold } from "./atCursor";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { assignAndSay } from "./drag";
import { setAll } from "./folding";
import { goTo, kindOf, titleOf } from "./goTo";
import { needsProfile } from "./measure";
import { ask, useFind } from "./find";
import { focusLayers, showAs, toggleMode } from "./showing";
import type { Finding } from "./useFinding";
import { MEASURE_LABELS, MEASURES, select, useView, viewStore } from "./view";

interface EditorCommandsProps {
  network: Network;
  /** Null while it is being laid out. */
  scene: Scene | null;
  devices: readonly Device[];
  finding: Finding;
  hasProfile: boolean;
  searchInput: RefObject<HTMLInputElement | null>;
  planner: boolean;
  spread: () => void;
  selectDevice: (name: string) => void;
  selectUnplaced: () => void;
}

/** What is done for the commands by others; it is asked for at the moment, so that commands stay the same while it changes. */
type Doings = RefObject<Pick<EditorCommandsProps, "spread" | "selectDevice" | "selectUnplaced" | "finding">>;

export function EditorCommands(props: EditorCommandsProps) {
  const doings: Doings = useRef(props);
  useEffect(() => {
    doings.current = props;
  });
  useCommands(usePlanCommands(props, doings));
  useCommands(useSelectCommands(props, doings));
  useCommands(usePlaceCommands(props));
  useCommands(useLookCommands(props));
  useFinder(useLayerFinder(props));
  return null;
}

const MOST_LAYERS = 12;

/** Layers and blocks by name. */
function useLayerFinder({ network, scene }: EditorCommandsProps): Finder {
  return useCallback(
    (text) => {
      if (!scene) return [];
      const wanted = text.toLowerCase();
      const found = (place: Place): Command => ({
        id: `go.${place.kind}.${titleOf(scene, place)}`, group: "Go to", title: `${kindOf(scene, place)} ${titleOf(scene, place)}`,
        run: () => {
          goTo(scene, place);
          focusLayers();
        },
      });
      const folds = scene.tree.folds.filter(({ name }) => name.toLowerCase().includes(wanted)).slice(0, MOST_LAYERS / 2);
      const layers = network.nodes.filter(({ kind, name }) => kind === "layer" && name.toLowerCase().includes(wanted)).slice(0, MOST_LAYERS);
      return [...folds.map(({ index }) => found({ kind: "fold", fold: index })), ...layers.map(({ index }) => found({ kind: "layer", node: index }))];
    },
    [network, scene],
  );
}

const NO_DEVICE = "Register a device first";
const NO_SELECTION = "Select layers first";

function usePlanCommands({ devices, planner }: EditorCommandsProps, doings: Doings): Command[] {
  const none = devices.length === 0;
  return useMemo(
    () => [
      { id: "plan.spread", group: "Plan", title: "Spread evenly over the devices", words: "balance distribute", unable: none ? NO_DEVICE : null, run: () => doings.current.spread() },
      { id: "plan.suggest", group: "Plan", title: planner ? "Close the planner" : "Suggest the best plan…", words: "search optimise planner pareto", unable: none ? NO_DEVICE : null, run: () => (planner ? closePlanner() : openPlanner("best")) },
      { id: "plan.limits", group: "Plan", title: "What limits this plan", words: "bottleneck planner", unable: none ? NO_DEVICE : null, run: () => openPlanner("plan") },
      { id: "plan.front", group: "Plan", title: "Trade-offs between plans…", words: "pareto front planner", unable: none ? NO_DEVICE : null, run: () => openPlanner("front") },
    ],
    [none, planner, doings],
  );
}

function useSelectCommands({ network, devices, finding: { hits } }: EditorCommandsProps, doings: Doings): Command[] {
  const chosen = useView((view) => view.selection.size);
  const searched = useFind(({ query }) => query !== null);
  const table = useView(({ mode }) => mode === "table");
  return useMemo(() => {
    const layers = () => network.nodes.filter(({ kind }) => kind === "layer").map(({ index }) => index);
    const selected = () => [...viewStore.getState().selection].map((node) => at(network.nodes, node));
    const none = chosen === 0 ? NO_SELECTION : null;
    const shown = table && searched;
    const say = (announcement: string) => viewStore.setState({ announcement });
    return [
      {
        id: "select.all", group: "Select", title: shown ? "Select all layers that the search shows" : "Select all layers", keys: "Ctrl A",
        run: () => {
          const all = shown ? hits : layers();
          select(all);
          say(`${plural(all.length, "layer")} selected`);
        },
      },
      { id: "select.hits", group: "Select", title: "Select all hits of the search", words: "find filter", unable: !searched ? "Search for something first" : hits.length === 0 ? "The search finds nothing" : null, run: () => select(hits) },
      { id: "select.none", group: "Select", title: "Select nothing", words: "clear", unable: none, run: () => select([]) },
      {
        id: "select.kind", group: "Select", title: "Select all layers of this kind", words: "same operator", unable: none,
        run: () => {
          const kinds = new Set(selected().map(({ op }) => op));
          select(network.nodes.filter(({ kind, op }) => kind === "layer" && kinds.has(op)).map(({ index }) => index));
        },
      },
      { id: "select.unplaced", group: "Select", title: "Select the layers on no device", run: () => doings.current.selectUnplaced() },
      ...devices.map(({ name }): Command => ({ id: `select.device.${name}`, group: "Select", title: `Select the layers on ${name}`, run: () => doings.current.selectDevice(name) })),
      {
        id: "select.copy", group: "Select", title: "Copy the selection as a table", keys: "Ctrl C", words: "tsv clipboard spreadsheet", unable: none,
        run: () => {
          const { selection } = viewStore.getState();
          const rows = doings.current.finding.rowsNow().filter(({ node }) => selection.has(node));
          void insist(() => import("@/table/columns")).then(({ COLUMN_IDS, toTsv }) => copyText(toTsv(rows, COLUMN_IDS))).then((done) => say(done ? `${plural(rows.length, "layer")} copied` : "The browser does not let the page copy"));
        },
      },
    ];
  }, [network, devices, hits, chosen, searched, table, doings]);
}

function usePlaceCommands({ network, devices }: EditorCommandsProps): Command[] {
  const chosen = useView((view) => view.selection.size);
  return useMemo(() => {
    const names = () => [...viewStore.getState().selection].map((node) => at(network.nodes, node).name);
    const none = chosen === 0 ? NO_SELECTION : null;
    return [
      ...devices.map(({ name }, i): Command => ({
        id: `place.send.${name}`, group: "Place", title: `Send the selection to ${name}`, ...(i < 9 ? { keys: String(i + 1) } : {}), words: "assign move device", unable: none, run: () => assignAndSay(names(), name),
      })),
      { id: "place.none", group: "Place", title: "Take the selection off its device", keys: "Del", words: "unplace remove unassign", unable: none, run: () => assignAndSay(names(), "") },
      { id: "place.split", group: "Place", title: "Split the selection over several devices…", keys: "S", words: "shard divide tiles rows filters", unable: none, run: () => viewStore.setState({ splitting: true }) },
      { id: "place.link", group: "Place", title: "How what the layer sends or gets travels…", keys: "C", words: "codec compress link cut", unable: none, run: () => openLink(network) },
    ];
  }, [network, devices, chosen]);
}

function useLookCommands({ scene, hasProfile, searchInput }: EditorCommandsProps): Command[] {
  const [mode, measure, minimap, onlyHits] = [useView((view) => view.mode), useView((view) => view.measure), useView((view) => view.minimap), useView((view) => view.onlyHits)];
  const chosen = useView((view) => view.selection.size);
  const searched = useFind(({ query }) => query !== null);
  return useMemo(() => {
    const laying = scene ? null : "The network is being laid out";
    const folds = laying ?? (mode === "table" ? "Change to the graph first" : scene?.tree.folds.length === 0 ? "The network has no blocks" : null);
    const graph = mode === "table" ? "Change to the graph first" : null;
    const none = chosen === 0 ? NO_SELECTION : null;
    return [
      { id: "look.find", group: "Look", title: "Find layers", keys: "/ or Ctrl F", words: "search filter", run: () => searchInput.current?.focus() },
      { id: "look.mode", group: "Look", title: mode === "graph" ? "Show the layers as a table" : "Show the layers as a graph", keys: "T", words: "table graph list", run: toggleMode },
      { id: "look.only", group: "Look", title: onlyHits ? "Show all layers alike" : "Dim all but the hits", words: "filter search", unable: searched ? null : "Search for something first", run: () => viewStore.setState({ onlyHits: !onlyHits }) },
      { id: "look.clear", group: "Look", title: "Clear the search", unable: searched ? null : "Nothing is searched for", run: () => ask("") },
      { id: "look.layers", group: "Look", title: "Go to the graph or table of the layers", keys: "G", words: "focus canvas", run: focusLayers },
      { id: "look.fit", group: "Look", title: "Fit the network into the window", keys: "F or 0", unable: graph, run: cameraMan.fit },
      { id: "look.in", group: "Look", title: "Zoom in", keys: "+", unable: graph, run: () => cameraMan.zoomBy(1.25) },
      { id: "look.out", group: "Look", title: "Zoom out", keys: "−", unable: graph, run: () => cameraMan.zoomBy(0.8) },
      { id: "look.fold", group: "Look", title: "Fold the block, or open it", keys: "O", unable: folds ?? none, run: () => scene && toggleFold(scene, false) },
      { id: "look.alike", group: "Look", title: "Fold all blocks like this one, or open them", keys: "Shift O", unable: folds ?? none, run: () => scene && toggleFold(scene, true) },
      { id: "look.foldAll", group: "Look", title: "Fold all blocks", keys: "[", unable: folds, run: () => scene && setAll(scene, "folded") },
      { id: "look.openAll", group: "Look", title: "Open all blocks", keys: "]", unable: folds, run: () => scene && setAll(scene, "open") },
      { id: "look.details", group: "Look", title: "Details of the selection", words: "attributes weights histogram", unable: none, run: () => viewStore.setState(({ detailsOpen }) => ({ detailsOpen: !detailsOpen })) },
      { id: "look.minimap", group: "Look", title: minimap ? "Hide the small map" : "Show the small map", words: "minimap overview", unable: graph, run: () => viewStore.setState({ minimap: !minimap }) },
      ...MEASURES.map((one): Command => ({
        id: `look.measure.${one}`, group: "Look", title: `Bars show: ${MEASURE_LABELS[one]}`, words: "measure heat",
        unable: one === measure ? "They show it now" : needsProfile(one) && !hasProfile ? "Profile a device first" : null,
        run: () => {
          showAs("graph");
          viewStore.setState({ measure: one });
        },
      })),
    ];
  }, [scene, mode, measure, minimap, onlyHits, chosen, searched, hasProfile, searchInput]);
}
