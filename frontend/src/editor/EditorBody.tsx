/** The editor with its network and devices at hand. */
import { Button, Menu } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { call, client } from "@/api/client";
import type { Device, Model, Plan, PlanProblem, PlanReport } from "@/api/types";
import { formatCount, formatMacs, plural } from "@/app/format";
import { Header } from "@/app/Header";
import { tellProblem } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";
import { setMarks } from "@/devices/marks";
import { marksOf } from "@/devices/palette";
import { isUsable } from "@/devices/words";
import { allBlocks } from "@/graph/blocks";
import { buildFolds } from "@/graph/folds";
import { at, buildNetwork } from "@/graph/network";
import { FormSwitch } from "@/models/FormSwitch";
import { onPlansChanged } from "@/live/socket";
import { estimate } from "@/plan/estimate";
import { PlanKeeper, useSync } from "@/plan/keeper";
import { contentOf, sameForm } from "@/plan/content";
import { countDifferences, countSettings, devicesOfLayer, devicesOfPlan, wholeLayer } from "@/plan/divisions";
import { redo, replacePlan, undo, usePlan } from "@/plan/store";
import { usePreviewLabel } from "@/plan/preview";
import { useReport } from "@/plan/useReport";
import { PlanFigures } from "@/planner/PlanFigures";
import { closePlanner, openPlanner, resetPlanner, usePlanner } from "@/planner/store";
import { usePrediction } from "@/planner/usePrediction";
import { unpredictable } from "@/planner/words";
import { LinkDialog } from "./LinkDialog";
import { useCosts, useProfileCosts } from "@/profiles/costs";
import { RunDock } from "@/runs/RunDock";
import { Canvas } from "./Canvas";
import { cameraMan, roomIn } from "./camera";
import { CanvasTools, ZoomTools } from "./CanvasTools";
import { ConflictCard } from "./ConflictCard";
import { SceneContext, type Scene } from "./context";
import { DeployButton, DeployState } from "./DeployControls";
import { deployReason, useDeployments, useRun } from "./deploying";
import { DeploySheet } from "./DeploySheet";
import { Details } from "./Details";
import { assignAndSay } from "./drag";
import { EditTools, SyncNote } from "./EditTools";
import { FoldItems } from "./FoldItems";
import { AssignItems, Lanes } from "./Lanes";
import { mostOf, needsProfile } from "./measure";
import { Minimap } from "./Minimap";
import { DEVICES_WIDTH, RAIL_WIDTH, useColumns } from "./panels";
import { PlanMenu } from "./PlanMenu";
import { SearchBox } from "./SearchBox";
import { SelectionBar } from "./SelectionBar";
import { useDeploy } from "./useDeploy";
import { useLayout, type Shape } from "./useLayout";
import { flash, resetView, select, useView, viewStore } from "./view";

const PlannerPanel = lazy(() => import("@/planner/PlannerPanel"));

const HEADER_HEIGHT = 48;
const RESIZE_MS = 200;

/** The room that the network is wrapped into: it follows the window. Panels that come and go do not move the layers. */
function useRoom(): Shape {
  const look = () => roomIn({ width: window.innerWidth - DEVICES_WIDTH, height: window.innerHeight - HEADER_HEIGHT });
  const [room, setRoom] = useState(look);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const resized = () => {
      clearTimeout(timer);
      timer = setTimeout(() => setRoom(look()), RESIZE_MS);
    };
    window.addEventListener("resize", resized);
    return () => {
      clearTimeout(timer);
      window.removeEventListener("resize", resized);
    };
  }, []);
  return room;
}

function useKeeper(model: Model): PlanKeeper {
  const [keeper] = useState(() => new PlanKeeper(model));
  useEffect(() => {
    resetView();
    resetPlanner(`${model.id} ${model.simplified}`);
    keeper.open();
    const off = onPlansChanged((id) => {
      if (id === model.id || id === "*") void keeper.heard();
    });
    return () => {
      off();
      keeper.close();
    };
  }, [keeper, model.id, model.simplified]);
  return keeper;
}

export function EditorBody({ model, devices }: { model: Model; devices: readonly Device[] }) {
  const network = useMemo(() => buildNetwork(model), [model]);
  const { ref: canvasRef, width, height } = useElementSize();
  const canvasSize = useMemo(() => ({ width, height }), [width, height]);
  const room = useRoom();
  const byHand = usePlan(({ rest }) => rest.blocks);
  const tree = useMemo(() => buildFolds(network, allBlocks(model.blocks, byHand)), [network, model, byHand]);
  const folds = useView((view) => view.folds);
  const minimap = useView((view) => view.minimap);
  const picture = useLayout(network, tree, room, folds);
  const keeper = useKeeper(model);
  const content = usePlan((whole) => whole);
  const { state: sync } = useSync();
  const marks = useMemo(() => marksOf(devices), [devices]);
  useEffect(() => setMarks(marks), [marks]);
  const local = useMemo(() => estimate(network, content), [network, content]);
  const fleet = devices.map(({ name, state }) => `${name} ${state}`).join("\n");
  const { report, current, problem: reportProblem } = useReport(model, content, fleet);
  const planner = usePlanner(({ open, tab }) => (open ? tab : null));
  const columns = useColumns(planner !== null);
  const reason = unpredictable(local.unplaced, report?.problems ?? []);
  const predicted = usePrediction(model, content, fleet, current && reason === null, planner === "plan");
  const deployments = useDeployments(model.id);
  const { running, active } = deployments;
  const run = useRun(running);
  const deploy = useDeploy(model, deployments, run);
  const searchInput = useRef<HTMLInputElement>(null);
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  const measure = useView((view) => view.measure);
  const hasProfile = useProfileCosts(model.id, needsProfile(measure));
  const costs = useCosts();
  const scene = useMemo<Scene | null>(() => picture && { ...picture, most: mostOf(picture.network, picture.tree, picture.layout, costs) }, [picture, costs]);

  const deployed = running?.state === "running" ? running.plan : null;
  useEffect(() => {
    viewStore.setState({ deployed });
  }, [deployed]);
  const changes = useMemo(() => (deployed ? countDifferences(content, deployed) + countSettings(content.rest, deployed) : 0), [content, deployed]);
  const empty = local.unplaced === local.total.layers;
  const liveDevices = useMemo(() => (running ? devicesOfPlan(contentOf(running.plan)) : new Set<string>()), [running]);
  useWrong(network, report);

  useShortcuts(searchInput);

  const spread = () => {
    const able = devices.filter(isUsable).map(({ name }) => name);
    if (able.length === 0) return;
    call(client.POST("/api/models/{model_id}/plans/spread", { params: { path: { model_id: model.id } }, body: { devices: able } })).then((plan) => {
      const { layers } = replacePlan({ ...contentOf(plan), rest: content.rest }, "Spread evenly");
      flash("", layers === 0 ? "already spread evenly" : `spread over ${plural(able.length, "device")}`);
    }, tellProblem);
  };
  const showPlan = (plan: Plan) => {
    const { layers } = replacePlan(contentOf(plan), "Show the running plan");
    flash("", `${plural(layers, "layer")} as they run`);
  };
  const selectLayers = (wanted: (name: string) => boolean) => {
    const nodes = network.nodes.filter((node) => node.kind === "layer" && wanted(node.name)).map(({ index }) => index);
    select(nodes);
    if (nodes[0] !== undefined) cameraMan.reveal(nodes[0]);
  };
  const selectDevice = (device: string) => selectLayers((name) => devicesOfLayer(content, name).includes(device));
  const showProblem = ({ layer, device }: PlanProblem) => {
    const whole = layer == null ? null : wholeLayer(layer, (name) => network.layerIndex.has(name));
    const node = whole === null ? undefined : network.layerIndex.get(whole);
    if (node !== undefined) {
      select([node]);
      cameraMan.show(node);
    } else if (device != null) selectDevice(device);
  };

  return (
    <>
      <Header title={model.name} subtitle={`${plural(model.layer_count, "layer")} · ${formatMacs(model.macs)} · ${formatCount(model.parameters)} params`}>
        <EditTools spread={spread} suggest={() => (planner === null ? openPlanner("best") : closePlanner())} canSpread={devices.length > 0} />
        <SearchBox network={network} scene={picture} input={searchInput} leave={() => document.querySelector<HTMLElement>(".canvas")?.focus()} />
        <FormSwitch model={model} />
        <span className="header-space" />
        <SyncNote state={sync} />
        <PlanMenu model={model} devices={devices} />
        <DeployState deployments={deployments} hidden={deploy.shown !== null} open={deploy.open} />
        <DeployButton
          reason={deployReason(devices.length, local.unplaced, report?.problems ?? [], current, reportProblem !== null)}
          active={active !== null}
          busy={deploy.busy}
          changes={running && !empty ? changes : null}
          start={deploy.start}
          open={deploy.open}
        />
      </Header>
      <main className="editor" style={{ gridTemplateColumns: `minmax(0, 1fr)${planner === null ? "" : ` ${columns.plannerWidth}px`} ${columns.folded ? RAIL_WIDTH : DEVICES_WIDTH}px` }}>
        <div className="stage">
          <div className="canvas-host" ref={canvasRef}>
            {scene && width > 0 && sync !== "loading" ? (
              <SceneContext value={scene}>
                <Canvas
                  size={canvasSize}
                  devices={devices.map(({ name }) => name)}
                  onMenu={(x, y) => setMenu({ x, y })}
                  onSearch={() => searchInput.current?.focus()}
                />
              </SceneContext>
            ) : (
              <p className="loading center">Laying out {plural(model.layer_count, "layer")}…</p>
            )}
            {scene && minimap && width > 0 && <Minimap scene={scene} size={canvasSize} />}
            <div className="canvas-notes">
              <PreviewNote />
              <FlashNote everywhere={columns.folded} unplaced={local.unplaced} />
            </div>
            <CanvasTools scene={scene} hasProfile={hasProfile} />
            <ZoomTools />
            <SelectedDetails model={model} network={network} />
            <SelectionBar model={model} network={network} devices={devices} />
            {sync === "conflict" && <ConflictCard reload={() => void keeper.reload()} overwrite={() => void keeper.overwrite()} />}
            {deploy.problem && (
              <div className="sheet sheet-problem" data-testid="deploy-problem">
                <ProblemCard problem={deploy.problem}>
                  <Button size="xs" variant="default" onClick={deploy.close}>
                    Close
                  </Button>
                </ProblemCard>
              </div>
            )}
            {!deploy.problem && deploy.shown && (
              <DeploySheet
                deployment={deploy.shown}
                close={deploy.close}
                cancel={deploy.cancel}
                retry={() => deploy.shown && deploy.retry(deploy.shown.plan)}
                busy={deploy.busy}
              />
            )}
          </div>
          {running && <RunDock key={running.id} model={model} deployment={running} run={run} />}
        </div>
        {planner !== null && (
          <Suspense fallback={<aside className="planner" aria-label="Planner" />}>
            <PlannerPanel model={model} network={network} devices={devices} predicted={predicted} unpredictable={reason} width={columns.plannerWidth} />
          </Suspense>
        )}
        <Lanes
          devices={devices}
          marks={marks}
          estimate={local}
          report={report}
          current={current}
          liveDevices={liveDevices}
          deployment={running?.id ?? null}
          selectDevice={selectDevice}
          selectUnplaced={() => selectLayers((name) => devicesOfLayer(content, name).length === 0)}
          selectPlace={(place) => selectLayers((name) => content.placement[name] === place)}
          spread={spread}
          showRunning={deployed && sameForm(deployed.network, model) ? () => showPlan(deployed) : null}
          showProblem={showProblem}
          figures={reason === null ? <PlanFigures predicted={predicted} short={columns.folded} /> : null}
          folded={columns.folded}
          fold={columns.fold}
        />
      </main>
      <LinkDialog network={network} cuts={[...(report?.cuts ?? []), ...(running?.state === "running" ? running.cuts : [])]} />
      <Menu opened={menu !== null} onChange={() => setMenu(null)} position="bottom-start" withinPortal>
        <Menu.Target>
          <button type="button" className="menu-anchor" tabIndex={-1} aria-label="Send the selection to a device" style={{ left: menu?.x ?? 0, top: menu?.y ?? 0 }} />
        </Menu.Target>
        <Menu.Dropdown data-testid="context-menu">
          <Menu.Label>Send to</Menu.Label>
          <AssignItems devices={devices} send={(device) => assignAndSay([...viewStore.getState().selection].map((node) => at(network.nodes, node).name), device)} />
          <FoldItems scene={scene} />
        </Menu.Dropdown>
      </Menu>
    </>
  );
}

/** Says that the canvas shows another plan than the one under the hand. */
function PreviewNote() {
  const label = usePreviewLabel();
  if (label === null) return null;
  return (
    <p className="preview-note" data-testid="preview-note">
      Looking at: {label}
    </p>
  );
}

/** What the last step did, where no device in view says it. */
function FlashNote({ everywhere, unplaced }: { everywhere: boolean; unplaced: number }) {
  const flash = useView((view) => view.flash);
  if (flash === null || !(everywhere || (flash.device === "" && unplaced === 0))) return null;
  return (
    <p className="preview-note is-flash" data-testid="flash-note">
      {flash.device === "" ? flash.text : `${flash.device}: ${flash.text}`}
    </p>
  );
}

/** Mark the layers that the studio's report complains of; that a layer has no device is seen without a mark. */
function useWrong(network: Scene["network"], report: PlanReport | null): void {
  useEffect(() => {
    const wrong = new Map<string, string>();
    for (const { severity, code, layer, message } of report?.problems ?? []) {
      const whole = layer == null ? null : wholeLayer(layer, (name) => network.layerIndex.has(name));
      if (whole !== null && severity === "error" && code !== "unplaced_layer") wrong.set(whole, message);
    }
    viewStore.setState({ wrong });
  }, [network, report]);
}

/** Keys that work wherever the focus is, except while typing. */
function useShortcuts(searchInput: React.RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      const command = event.ctrlKey || event.metaKey;
      const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, [contenteditable]") !== null;
      const letter = event.key.toLowerCase();
      if (command && letter === "f") searchInput.current?.focus();
      else if (command && letter === "z" && !typing) (event.shiftKey ? redo : undo)();
      else if (command && letter === "y" && !typing) redo();
      else return;
      event.preventDefault();
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, [searchInput]);
}

function SelectedDetails({ model, network }: { model: Model; network: Scene["network"] }) {
  const open = useView((view) => view.detailsOpen);
  const node = useView((view) => view.cursor ?? [...view.selection][0] ?? null);
  if (!open || node === null || at(network.nodes, node).kind !== "layer") return null;
  return <Details model={model} network={network} node={node} />;
}

