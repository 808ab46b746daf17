/** The editor with its network and devices at hand. */
import { ActionIcon, Button, Menu, Select, Tooltip } from "@mantine/core";
import { useElementSize } from "@mantine/hooks";
import { IconArrowBackUp, IconArrowForwardUp, IconFocusCentered, IconMinus, IconPlus, IconRocket, IconStack2 } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { call, client } from "@/api/client";
import type { Device, Model, PlanProblem } from "@/api/types";
import { formatCount, formatMacs, plural } from "@/app/format";
import { Header } from "@/app/Header";
import { tellProblem } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";
import { setMarks } from "@/devices/marks";
import { marksOf } from "@/devices/palette";
import { at, buildNetwork } from "@/graph/network";
import { onPlansChanged } from "@/live/socket";
import { estimate } from "@/plan/estimate";
import { PlanKeeper, useSync } from "@/plan/keeper";
import { countDifferences } from "@/plan/placement";
import { redo, replacePlacement, undo, useHistory, usePlan } from "@/plan/store";
import { useReport } from "@/plan/useReport";
import { RunDock } from "@/runs/RunDock";
import { Canvas } from "./Canvas";
import { cameraMan } from "./camera";
import { measured } from "./Card";
import { SceneContext, type Scene } from "./context";
import { deployReason, useDeployments, useRun, type Deployments } from "./deploying";
import { DeploySheet } from "./DeploySheet";
import { Details } from "./Details";
import { assignAndSay } from "./drag";
import { AssignItems, Lanes } from "./Lanes";
import { PlanMenu } from "./PlanMenu";
import { SearchBox } from "./SearchBox";
import { SelectionBar } from "./SelectionBar";
import { useDeploy } from "./useDeploy";
import { useLayout } from "./useLayout";
import { flash, MEASURE_LABELS, MEASURES, resetView, select, useView, viewStore, type Measure } from "./view";

const LANES_WIDTH = 320;
const HEADER_HEIGHT = 48;

/** The window's shape when the model was opened: panels that come and go do not move the layers. */
function canvasShape() {
  return { width: Math.max(window.innerWidth - LANES_WIDTH - 56, 320), height: Math.max(window.innerHeight - HEADER_HEIGHT - 90, 320) };
}

function useKeeper(model: Model): PlanKeeper {
  const [keeper] = useState(() => new PlanKeeper(model));
  useEffect(() => {
    resetView();
    keeper.open();
    const off = onPlansChanged((id) => {
      if (id === model.id || id === "*") void keeper.heard();
    });
    return () => {
      off();
      keeper.close();
    };
  }, [keeper, model.id]);
  return keeper;
}

export function EditorBody({ model, devices }: { model: Model; devices: readonly Device[] }) {
  const network = useMemo(() => buildNetwork(model), [model]);
  const [shape] = useState(canvasShape);
  const layout = useLayout(network, shape);
  const keeper = useKeeper(model);
  const placement = usePlan((state) => state.placement);
  const { state: sync } = useSync();
  const marks = useMemo(() => marksOf(devices), [devices]);
  useEffect(() => setMarks(marks), [marks]);
  const local = useMemo(() => estimate(network, placement), [network, placement]);
  const fleet = devices.map(({ name, state }) => `${name} ${state}`).join("\n");
  const { report, current, problem: reportProblem } = useReport(model, placement, fleet);
  const deployments = useDeployments(model.id);
  const { running, active } = deployments;
  const run = useRun(running);
  const deploy = useDeploy(model, deployments, run);
  const searchInput = useRef<HTMLInputElement>(null);
  const { ref: canvasRef, width, height } = useElementSize();
  const canvasSize = useMemo(() => ({ width, height }), [width, height]);
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  const scene = useMemo<Scene | null>(() => {
    if (!layout) return null;
    const most = Object.fromEntries(MEASURES.map((measure) => [measure, network.nodes.reduce((top, node) => Math.max(top, measured(node, measure)), 0)])) as Record<Measure, number>;
    return { network, layout, most };
  }, [network, layout]);

  const deployedPlacement = running?.state === "running" ? running.plan.placement : null;
  useEffect(() => {
    viewStore.setState({ deployed: deployedPlacement });
  }, [deployedPlacement]);
  const changes = deployedPlacement ? countDifferences(placement, deployedPlacement) : 0;
  const liveDevices = useMemo(() => new Set(running ? Object.values(running.plan.placement) : []), [running]);

  useShortcuts(searchInput);

  const spread = () => {
    const able = devices.filter(({ state }) => state === "ready" || state === "unknown").map(({ name }) => name);
    if (able.length === 0) return;
    call(client.POST("/api/models/{model_id}/plans/spread", { params: { path: { model_id: model.id } }, body: { devices: able } })).then((plan) => {
      const moved = replacePlacement(plan.placement, "Spread evenly");
      flash("", moved === 0 ? "already spread evenly" : `spread over ${plural(able.length, "device")}`);
    }, tellProblem);
  };
  const selectLayers = (wanted: (name: string) => boolean) => {
    const nodes = network.nodes.filter((node) => node.kind === "layer" && wanted(node.name)).map(({ index }) => index);
    select(nodes);
    if (nodes[0] !== undefined) cameraMan.reveal(nodes[0]);
  };
  const showProblem = ({ layer, device }: PlanProblem) => {
    const node = layer == null ? undefined : network.layerIndex.get(layer);
    if (node !== undefined) {
      select([node]);
      cameraMan.show(node);
    } else if (device != null) selectLayers((name) => placement[name] === device);
  };

  return (
    <>
      <Header title={model.name} subtitle={`${plural(model.layer_count, "layer")} · ${formatMacs(model.macs)} · ${formatCount(model.parameters)} params`}>
        <EditTools spread={spread} canSpread={devices.length > 0} />
        <SearchBox network={network} input={searchInput} leave={() => document.querySelector<HTMLElement>(".canvas")?.focus()} />
        <span className="header-space" />
        <SyncNote state={sync} />
        <PlanMenu model={model} />
        <DeployState deployments={deployments} hidden={deploy.shown !== null} open={deploy.open} />
        <DeployButton
          reason={deployReason(devices.length, local.unplaced, report?.problems ?? [], current, reportProblem !== null)}
          active={active !== null}
          busy={deploy.busy}
          changes={running ? changes : null}
          start={deploy.start}
          open={deploy.open}
        />
      </Header>
      <main className="editor">
        <div className="stage">
          <div className="canvas-host" ref={canvasRef}>
            {scene && width > 0 && sync !== "loading" ? (
              <SceneContext value={scene}>
                <Canvas
                  key={`${layout?.width ?? 0} ${layout?.height ?? 0}`}
                  size={canvasSize}
                  devices={devices.map(({ name }) => name)}
                  onMenu={(x, y) => setMenu({ x, y })}
                  onSearch={() => searchInput.current?.focus()}
                />
              </SceneContext>
            ) : (
              <p className="loading center">Laying out {plural(model.layer_count, "layer")}…</p>
            )}
            <CanvasTools />
            <SelectedDetails model={model} network={network} />
            <SelectionBar network={network} devices={devices} />
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
        <Lanes
          devices={devices}
          marks={marks}
          estimate={local}
          report={report}
          current={current}
          liveDevices={liveDevices}
          selectDevice={(name) => selectLayers((layer) => placement[layer] === name)}
          selectUnplaced={() => selectLayers((layer) => placement[layer] === undefined)}
          spread={spread}
          showProblem={showProblem}
        />
      </main>
      <Menu opened={menu !== null} onChange={() => setMenu(null)} position="bottom-start" withinPortal>
        <Menu.Target>
          <button type="button" className="menu-anchor" tabIndex={-1} aria-label="Send the selection to a device" style={{ left: menu?.x ?? 0, top: menu?.y ?? 0 }} />
        </Menu.Target>
        <Menu.Dropdown data-testid="context-menu">
          <Menu.Label>Send to</Menu.Label>
          <AssignItems devices={devices} send={(device) => assignAndSay([...viewStore.getState().selection].map((node) => at(network.nodes, node).name), device)} />
        </Menu.Dropdown>
      </Menu>
    </>
  );
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

function EditTools({ spread, canSpread }: { spread: () => void; canSpread: boolean }) {
  const label = usePlan((state) => state.label);
  const past = useHistory().pastStates.length;
  const next = useHistory().futureStates.at(-1);
  return (
    // A press by the mouse leaves the focus on the canvas, where the keys for the selection work.
    <div className="tools" role="toolbar" aria-label="Edit" onMouseDown={(event) => event.preventDefault()}>
      <Tooltip label={past > 0 ? `Undo: ${label} (Ctrl+Z)` : "Nothing to undo"}>
        <ActionIcon variant="subtle" color="gray" disabled={past === 0} onClick={undo} aria-label="Undo" data-testid="undo">
          <IconArrowBackUp size={17} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label={next ? `Redo: ${next.label ?? ""} (Ctrl+Shift+Z)` : "Nothing to redo"}>
        <ActionIcon variant="subtle" color="gray" disabled={!next} onClick={redo} aria-label="Redo" data-testid="redo">
          <IconArrowForwardUp size={17} />
        </ActionIcon>
      </Tooltip>
      <Button size="compact-sm" variant="default" leftSection={<IconStack2 size={14} />} disabled={!canSpread} onClick={spread} data-testid="spread" title="Contiguous runs of layers, balanced by work, one for each ready device">
        Spread evenly
      </Button>
    </div>
  );
}

const SYNC_WORDS = { loading: "", saved: "Saved", unsaved: "Saving…", saving: "Saving…", conflict: "Not saved", failed: "Not saved, trying again" } as const;

function SyncNote({ state }: { state: keyof typeof SYNC_WORDS }) {
  return (
    <span className={`sync sync-${state}`} data-testid="sync" role="status">
      {SYNC_WORDS[state]}
    </span>
  );
}

/** What stands on the devices now; opens the sheet. */
function DeployState({ deployments: { active, running, last }, hidden, open }: { deployments: Deployments; hidden: boolean; open: () => void }) {
  const shown = active ?? running ?? last;
  if (!shown) return null;
  return (
    <button type="button" className={`deploy-state is-${shown.state}`} onClick={open} title="Show the deployment">
      <span data-testid={hidden ? undefined : "deploy-state"}>{shown.state}</span>
    </button>
  );
}

interface DeployButtonProps {
  reason: string | null;
  active: boolean;
  busy: boolean;
  /** Layers that differ from what runs; null when nothing runs. */
  changes: number | null;
  start: () => void;
  open: () => void;
}

function DeployButton({ reason, active, busy, changes, start, open }: DeployButtonProps) {
  if (active) {
    return (
      <Button size="xs" loading={busy} onClick={open} variant="light" data-testid="deploy">
        Deploying…
      </Button>
    );
  }
  const same = changes === 0;
  const words = changes === null ? "Deploy" : same ? "Deploy again" : `Deploy ${plural(changes, "change")}`;
  const help = reason ?? (changes === null ? "Put the plan onto its devices" : same ? "The running deployment is this plan" : "The plan differs from the running deployment");
  return (
    <Tooltip label={help} multiline maw={320} position="bottom-end">
      <Button
        size="xs"
        variant={same ? "default" : "filled"}
        leftSection={<IconRocket size={14} />}
        loading={busy}
        data-disabled={reason !== null || undefined}
        aria-disabled={reason !== null}
        aria-description={reason ?? undefined}
        onClick={() => {
          if (reason === null) start();
        }}
        data-testid="deploy"
      >
        {words}
      </Button>
    </Tooltip>
  );
}

function CanvasTools() {
  const measure = useView((view) => view.measure);
  return (
    <div className="canvas-tools" role="toolbar" aria-label="View">
      <Select
        size="xs"
        w={150}
        aria-label="Bars show"
        value={measure}
        onChange={(value) => viewStore.setState({ measure: MEASURES.find((known) => known === value) ?? measure })}
        data={MEASURES.map((value) => ({ value, label: MEASURE_LABELS[value] }))}
        allowDeselect={false}
        data-testid="measure"
      />
      <ActionIcon.Group>
        <ActionIcon variant="default" size={30} aria-label="Zoom out" onClick={() => cameraMan.zoomBy(0.8)}>
          <IconMinus size={15} />
        </ActionIcon>
        <ActionIcon variant="default" size={30} aria-label="Fit the network" title="Fit (F)" onClick={cameraMan.fit} data-testid="fit">
          <IconFocusCentered size={16} />
        </ActionIcon>
        <ActionIcon variant="default" size={30} aria-label="Zoom in" onClick={() => cameraMan.zoomBy(1.25)}>
          <IconPlus size={15} />
        </ActionIcon>
      </ActionIcon.Group>
    </div>
  );
}

function SelectedDetails({ model, network }: { model: Model; network: Scene["network"] }) {
  const open = useView((view) => view.detailsOpen);
  const node = useView((view) => view.cursor ?? [...view.selection][0] ?? null);
  if (!open || node === null || at(network.nodes, node).kind !== "layer") return null;
  return <Details model={model} network={network} node={node} />;
}

function ConflictCard({ reload, overwrite }: { reload: () => void; overwrite: () => void }) {
  return (
    <div className="conflict" role="alertdialog" aria-label="The plan was saved elsewhere" data-testid="conflict">
      <h3>This plan was saved in another window</h3>
      <p>Your edits are kept here, and are not saved.</p>
      <div>
        <Button size="xs" variant="default" onClick={reload}>
          Take the other one
        </Button>
        <Button size="xs" onClick={overwrite}>
          Keep mine
        </Button>
      </div>
    </div>
  );
}

