/** The editor with its network and devices at hand. */
import { useElementSize } from "@mantine/hooks";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import type { Device, Model, Plan, PlanProblem } from "@/api/types";
import { formatCount, formatMacs, plural } from "@/app/format";
import { Header } from "@/app/Header";
import { insist } from "@/app/insist";
import { tellProblem } from "@/app/notify";
import { own } from "@/app/own";
import { DeployButton, DeployState } from "@/deploy/DeployButton";
import { DeployDock } from "@/deploy/DeployDock";
import { deployReason, useDeployments } from "@/deploy/deploying";
import { useDeploy } from "@/deploy/useDeploy";
import { useLiveView } from "@/deploy/useLiveView";
import { setMarks } from "@/devices/marks";
import { marksOf } from "@/devices/palette";
import { isUsable } from "@/devices/words";
import { allBlocks } from "@/graph/blocks";
import { buildFolds } from "@/graph/folds";
import { buildNetwork } from "@/graph/network";
import { estimate } from "@/plan/estimate";
import { useSync } from "@/plan/sync";
import { KeeperContext, useOpenPlan } from "@/plan/useKeeper";
import { contentOf, sameForm } from "@/plan/content";
import { countDifferences, countSettings, devicesOfLayer, devicesOfPlan, wholeLayer } from "@/plan/divisions";
import { replacePlan, usePlan } from "@/plan/store";
import { useReport } from "@/plan/useReport";
import { PlanFigures } from "@/planner/PlanFigures";
import { PlanSwitcher } from "@/plans/PlanSwitcher";
import { closePlanner, openPlanner, usePlanner } from "@/planner/store";
import { usePrediction } from "@/planner/usePrediction";
import { unpredictable } from "@/planner/words";
import { useCosts, useProfileCosts } from "@/profiles/costs";
import { BrushNote } from "./BrushNote";
import { Canvas } from "./Canvas";
import { cameraMan } from "./camera";
import { FlashNote, PreviewNote } from "./CanvasNotes";
import { CanvasTools, ZoomTools } from "./CanvasTools";
import { SceneContext, type Scene } from "./context";
import { EditorCommands } from "./EditorCommands";
import { EditTools } from "./EditTools";
import { HandControl } from "./HandControl";
import { Lanes } from "./Lanes";
import { mostOf, needsProfile } from "./measure";
import { Minimap } from "./Minimap";
import { DEVICES_WIDTH, RAIL_WIDTH, useColumns } from "./panels";
import { AnswerNote, CompareHost, ContextMenu, DragGhost, FigureKeeper, FormSwitch, HeatLegend, LinkDialog, LinkOpener, PlanTrouble, RunDock, SelectionBar } from "./parts";
import { PlanMenu } from "./PlanMenu";
import { PlanNotice } from "./PlanNotice";
import { SearchBox } from "./SearchBox";
import { focusLayers } from "./showing";
import { spreadEvenly } from "./spread";
import { StageBar } from "./StageBar";
import { SyncNote } from "./SyncNote";
import { useAsksCosts, useFinding } from "./useFinding";
import { useLayout } from "./useLayout";
import { usePictured } from "./usePictured";
import { useRoom } from "./useRoom";
import { useViewLink } from "./useViewLink";
import { useTroubles } from "./useTroubles";
import { flash, select, useView } from "./view";

const Details = lazy(() => insist(() => import("@/details/Details")));
const LayerTable = lazy(() => insist(() => import("@/table/LayerTable")));
const PlannerPanel = lazy(() => insist(() => import("@/planner/PlannerPanel")));

/** So many profiles can be fetched before anybody asks for them. */
const FEW_DEVICES = 16;

export function EditorBody({ model, planId, devices }: { model: Model; planId: number | null; devices: readonly Device[] }) {
  const network = useMemo(() => buildNetwork(model), [model]);
  const { ref: canvasRef, width, height } = useElementSize();
  const canvasSize = useMemo(() => ({ width, height }), [width, height]);
  const room = useRoom();
  const byHand = usePlan(({ rest }) => rest.blocks);
  const tree = useMemo(() => buildFolds(network, allBlocks(model.blocks, byHand)), [network, model, byHand]);
  const folds = useView((view) => view.folds);
  const minimap = useView((view) => view.minimap);
  const heat = useView((view) => view.heat);
  const chosen = useView((view) => view.selection.size > 0);
  const choosing = useView((view) => view.link !== null);
  const picture = useLayout(network, tree, room, folds);
  const keeper = useOpenPlan(model, planId);
  const content = usePlan((whole) => whole);
  const sync = useSync(({ state }) => state);
  const hindered = useSync(({ problem }) => problem !== null);
  const marks = useMemo(() => marksOf(devices), [devices]);
  useEffect(() => setMarks(marks), [marks]);
  const local = useMemo(() => estimate(network, content), [network, content]);
  const fleet = devices.map(({ name, state }) => `${name} ${state}`).join("\n");
  const told = useReport(model, content, fleet, sync !== "loading");
  const { report, current, problem: reportProblem } = told;
  const planner = usePlanner(({ open, tab }) => (open ? tab : null));
  const columns = useColumns(planner !== null);
  const reason = unpredictable(local.unplaced, report?.problems ?? []);
  const predicted = usePrediction(model, content, told, current && reason === null, planner === "plan");
  const deployments = useDeployments(model.id);
  const { running } = deployments;
  const deploy = useDeploy(model, deployments);
  const searchInput = useRef<HTMLInputElement>(null);
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  const measure = useView((view) => view.measure);
  const detailsOpen = useView((view) => view.detailsOpen);
  const asksCosts = useAsksCosts();
  // The figures of an edit come from profiles at once; of a large fleet they come with the studio's answer alone.
  const hasProfile = useProfileCosts(model.id, needsProfile(measure) || detailsOpen || asksCosts || devices.length <= FEW_DEVICES);
  const finding = useFinding(model, network, tree);
  const deviceNames = useMemo(() => devices.map(({ name }) => name), [devices]);
  const table = useView(({ mode }) => mode === "table");
  const costs = useCosts();
  const scene = useMemo<Scene | null>(() => picture && { ...picture, most: mostOf(picture.network, picture.tree, picture.layout, costs) }, [picture, costs]);

  const drawn = scene !== null && width > 0 && sync !== "loading";
  const pictured = usePictured(drawn);

  const linked = useViewLink(model.id);

  const deployed = running?.state === "running" ? running.plan : null;
  const measuredAgainst = useLiveView(model, running, deploy.shown);
  const changes = useMemo(() => (deployed ? countDifferences(content, deployed) + countSettings(content.rest, deployed) : 0), [content, deployed]);
  const empty = local.unplaced === local.total.layers;
  const liveDevices = useMemo(() => (running ? devicesOfPlan(contentOf(running.plan)) : new Set<string>()), [running]);
  useTroubles(network, report);

  const cannotDeploy = deployReason(devices.length, local.unplaced, report?.problems ?? [], current, reportProblem !== null);

  const spread = () => {
    const able = devices.filter(isUsable).map(({ name }) => name);
    if (able.length > 0) spreadEvenly(model, able).catch(tellProblem);
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
  const showLayers = (layers: readonly string[]) => {
    const wanted = new Set(layers);
    selectLayers((name) => wanted.has(name));
  };
  const selectDevice = (device: string) => selectLayers((name) => devicesOfLayer(content, name).includes(device));
  const selectUnplaced = () => selectLayers((name) => devicesOfLayer(content, name).length === 0);
  const showProblem = ({ layer, device }: PlanProblem) => {
    const whole = layer == null ? null : wholeLayer(layer, (name) => network.layerIndex.has(name));
    const node = whole === null ? undefined : network.layerIndex.get(whole);
    if (node !== undefined) {
      select([node]);
      cameraMan.show(node);
    } else if (device != null) selectDevice(device);
  };

  return (
    <KeeperContext value={keeper}>
      <Header title={model.name} subtitle={`${plural(model.layer_count, "layer")} · ${formatMacs(model.macs)} · ${formatCount(model.parameters)} params`}>
        <EditTools spread={spread} suggest={() => (planner === null ? openPlanner("best") : closePlanner())} canSpread={devices.length > 0} />
        <SearchBox finding={finding} devices={deviceNames} scene={picture} input={searchInput} leave={focusLayers} />
        {pictured && <FormSwitch model={model} />}
        <span className="header-space" />
        <PlanMenu model={model} devices={devices} isSeen={pictured} />
        <DeployState deployments={deployments} hidden={deploy.shown !== null} open={deploy.open} />
        <DeployButton
          model={model}
          deploy={deploy}
          deployments={deployments}
          reason={cannotDeploy}
          problems={report?.problems ?? []}
          changes={running && !empty ? changes : null}
          show={showProblem}
        />
      </Header>
      <main className="editor" style={{ gridTemplateColumns: `minmax(0, 1fr)${planner === null ? "" : ` ${columns.plannerWidth}px`} ${columns.folded ? RAIL_WIDTH : DEVICES_WIDTH}px` }}>
        <div className="stage">
          <StageBar name={model.name} network={network} scene={scene}>
            <PlanSwitcher model={model} network={network} fleet={fleet} running={running} />
            <SyncNote />
          </StageBar>
          <div className={table ? "canvas-host is-table" : "canvas-host"} ref={canvasRef}>
            {scene && drawn ? (
              <SceneContext value={scene}>
                <Canvas size={canvasSize} hidden={table} onMenu={(x, y) => setMenu({ x, y })} />
              </SceneContext>
            ) : (
              <p className="loading center">Laying out {plural(model.layer_count, "layer")}…</p>
            )}
            {table && finding.rows && (
              <Suspense fallback={<p className="loading center">Opening the table…</p>}>
                <LayerTable rows={finding.rows} hits={finding.hits} tree={tree} onMenu={(x, y) => setMenu({ x, y })} />
              </Suspense>
            )}
            {scene && minimap && !table && width > 0 && <Minimap scene={scene} size={canvasSize} />}
            <div className="canvas-notes">
              <PlanNotice />
              <PreviewNote />
              {pictured && <AnswerNote />}
              <FlashNote everywhere={columns.folded} unplaced={local.unplaced} />
            </div>
            {!table && <BrushNote devices={devices} />}
            {!table && <CanvasTools scene={scene} hasProfile={hasProfile} />}
            {scene && heat && !table && <HeatLegend scene={scene} />}
            {!table && <ZoomTools />}
            {scene && detailsOpen && (
              <Suspense fallback={null}>
                <Details model={model} scene={scene} />
              </Suspense>
            )}
            {chosen && <SelectionBar model={model} network={network} devices={devices} />}
            {(pictured || hindered) && <PlanTrouble model={model} show={showLayers} />}
          </div>
          <DeployDock deploy={deploy} />
          {pictured && <CompareHost model={model} network={network} fleet={fleet} running={running} predicted={predicted} unpredictable={reason} />}
          {running && <RunDock key={running.id} model={model} deployment={running} prediction={measuredAgainst} />}
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
          selectUnplaced={selectUnplaced}
          selectPlace={(place) => selectLayers((name) => own(content.placement, name) === place)}
          spread={spread}
          showRunning={deployed && sameForm(deployed.network, model) ? () => showPlan(deployed) : null}
          showProblem={showProblem}
          prediction={reason === null ? predicted.prediction : null}
          shown={deploy.shown}
          retry={deploy.retry}
          figures={<PlanFigures model={model} devices={devices} prediction={predicted.prediction} reason={reason} short={columns.folded} />}
          folded={columns.folded}
          fold={columns.fold}
        />
      </main>
      <EditorCommands
        network={network}
        scene={scene}
        devices={devices}
        finding={finding}
        hasProfile={hasProfile}
        searchInput={searchInput}
        planner={planner !== null}
        spread={spread}
        selectDevice={selectDevice}
        selectUnplaced={selectUnplaced}
      />
      {linked !== "" && <LinkOpener search={linked} scene={scene} loaded={sync !== "loading"} />}
      <HandControl model={model} network={network} devices={devices} />
      {pictured && <FigureKeeper model={model} network={network} content={content} report={current ? report : null} predicted={predicted} />}
      {pictured && <DragGhost />}
      {choosing && <LinkDialog network={network} cuts={[...(report?.cuts ?? []), ...(running?.state === "running" ? running.cuts : [])]} />}
      {pictured && <ContextMenu at={menu} close={() => setMenu(null)} network={network} scene={scene} devices={devices} />}
    </KeeperContext>
  );
}
