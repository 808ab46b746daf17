/** Importing an inventory file: what its hosts would be, then adding them one after the other. */
import { Button, Checkbox, Loader, Progress } from "@mantine/core";
import { IconFileImport } from "@tabler/icons-react";
import { useEffect, useRef, useState, type DragEvent } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { rememberDevice } from "@/api/queries";
import type { DeviceIn, Inventory } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { FilePick } from "@/app/FilePick";
import { plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { confirmedKey, DeviceProblem, HostKeyQuestion, offeredKey } from "./HostKey";
import { canChoose, nextOf, rowsOf, summaryOf, withState, type EntryState, type ImportRow } from "./importing";
import { STATE_WORDS } from "./words";

const LARGEST_BYTES = 1_000_000;

const body = (error: Problem) => ({ code: error.code, message: error.message, next_step: error.nextStep, details: { ...error.details } });

export function ImportDialog({ close }: { close: () => void }) {
  const [inventory, setInventory] = useState<Inventory | null>(null);
  return (
    <Dialog onClose={close} title="Import an inventory" size="lg" closeOnClickOutside={false}>
      {inventory === null ? <ChooseFile use={setInventory} /> : <Entries inventory={inventory} back={() => setInventory(null)} close={close} />}
    </Dialog>
  );
}

function ChooseFile({ use }: { use: (inventory: Inventory) => void }) {
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const read = (file: File | undefined) => {
    if (!file) return;
    setBusy(true);
    setProblem(null);
    const text = file.size > LARGEST_BYTES ? Promise.reject(new Error(`${file.name} is too large to be an inventory.`)) : file.text();
    text
      .then((content) => call(client.POST("/api/devices/inventory", { body: { text: content } })))
      .then(use, (error: unknown) => setProblem(asProblem(error)))
      .finally(() => setBusy(false));
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    read(event.dataTransfer.files[0]);
  };
  return (
    <div className="device-form">
      <div
        className={over ? "upload is-over" : "upload"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <div className="import-drop">
          <IconFileImport size={22} stroke={1.5} aria-hidden />
          <p>
            Drop a file here: <b>YAML</b>, or an <b>Ansible INI</b> inventory. Nothing is registered before you have seen what it holds.
          </p>
          <FilePick label="Inventory file" take={read} accept=".yml,.yaml,.ini,.cfg,.txt,.inventory,text/*" testId="inventory-file">
            {(props) => (
              <Button {...props} size="xs" variant="default" loading={busy} data-autofocus>
                Choose a file…
              </Button>
            )}
          </FilePick>
        </div>
      </div>
      {problem && <ProblemCard problem={problem} />}
    </div>
  );
}

/** Rows, and the loop that adds the next one while it goes on. */
function useImport(inventory: Inventory) {
  const [rows, setRows] = useState<ImportRow[]>(() => rowsOf(inventory.entries));
  const [going, setGoing] = useState(false);
  const request = useRef<AbortController | null>(null);
  useEffect(() => () => request.current?.abort(), []);
  const put = (at: number, state: EntryState) => setRows((now) => withState(now, at, state));

  const run = async (start: ImportRow[]) => {
    setGoing(true);
    let now = start;
    const controller = new AbortController();
    request.current = controller;
    for (let at = nextOf(now); at >= 0 && !controller.signal.aborted; at = nextOf(now)) {
      const row = now[at];
      if (!row?.entry.device) break;
      const trusted = row.state.kind === "waiting" ? row.state.trusted : null;
      put(at, { kind: "adding" });
      const state = await add({ ...row.entry.device, trusted_fingerprint: trusted ?? row.entry.device.trusted_fingerprint ?? null }, controller.signal);
      now = withState(now, at, state);
      put(at, state);
    }
    setGoing(false);
  };
  return {
    rows,
    going,
    choose: (at: number, chosen: boolean) => setRows((now) => now.map((row, i) => (i === at ? { ...row, chosen } : row))),
    start: () => void run(rows),
    /** Try a row again, with a key that the person has accepted. */
    again: (at: number, trusted: string | null) => {
      const next = withState(rows, at, { kind: "waiting", trusted });
      setRows(next);
      if (!going) void run(next);
    },
    skip: (at: number) => put(at, { kind: "left", why: "left out" }),
    cancel: () => request.current?.abort(),
  };
}

async function add(device: DeviceIn, signal: AbortSignal): Promise<EntryState> {
  try {
    const added = await call(client.POST("/api/devices", { body: device, signal }));
    rememberDevice(added);
    return { kind: "added", words: STATE_WORDS[added.state] };
  } catch (error) {
    if (signal.aborted) return { kind: "waiting", trusted: null };
    const problem = asProblem(error);
    return { kind: problem.code === "unknown_host_key" ? "asks" : "failed", problem: body(problem) };
  }
}

function Entries({ inventory, back, close }: { inventory: Inventory; back: () => void; close: () => void }) {
  const { rows, going, choose, start, again, skip, cancel } = useImport(inventory);
  const chosen = rows.filter((row) => row.chosen);
  const settled = chosen.filter(({ state }) => state.kind !== "waiting" && state.kind !== "adding").length;
  const left = rows.filter((row) => row.chosen && canChoose(row)).length;
  const begun = going || settled > 0;
  return (
    <div className="device-form">
      {begun ? (
        <div className="import-summary" role="status" data-testid="import-summary">
          <p>{summaryOf(rows)}</p>
          <Progress value={chosen.length === 0 ? 0 : (settled / chosen.length) * 100} size="sm" aria-label="Devices added" />
        </div>
      ) : (
        <p className="dialog-text">
          The file holds {plural(rows.length, "host")}. {left === 0 ? "None of them can be added." : "Choose which to add."}
        </p>
      )}
      <ul className="import-list">
        {rows.map((row, at) => (
          <Row key={row.entry.name} row={row} locked={going} choose={(value) => choose(at, value)} trust={(confirmed) => again(at, confirmed)} retry={() => again(at, null)} skip={() => skip(at)} />
        ))}
      </ul>
      {inventory.ignored.length > 0 && (
        <details className="import-ignored">
          <summary>Not used of the file: {inventory.ignored.length}</summary>
          <ul>
            {inventory.ignored.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </details>
      )}
      <footer className="dialog-foot">
        {!begun && (
          <Button variant="default" onClick={back}>
            Another file
          </Button>
        )}
        {going ? (
          <Button variant="default" onClick={cancel} data-testid="import-cancel">
            Stop
          </Button>
        ) : left > 0 ? (
          <Button onClick={start} data-testid="import-start">
            Add {plural(left, "device")}
          </Button>
        ) : (
          <Button onClick={close} data-testid="import-done">
            Done
          </Button>
        )}
      </footer>
    </div>
  );
}

interface RowProps {
  row: ImportRow;
  locked: boolean;
  choose: (chosen: boolean) => void;
  trust: (confirmed: string) => void;
  retry: () => void;
  skip: () => void;
}

function Row({ row, locked, choose, trust, retry, skip }: RowProps) {
  const { entry, state, chosen } = row;
  const address = entry.device?.address ?? "";
  const offered = state.kind === "asks" ? offeredKey(state.problem, address) : null;
  return (
    <li className={`import-row is-${state.kind}`} data-testid={`import-${entry.name}`} data-state={state.kind}>
      <div className="import-head">
        <Checkbox size="xs" checked={chosen} disabled={locked || !canChoose(row)} onChange={(event) => choose(event.currentTarget.checked)} aria-label={`Add ${entry.name}`} />
        <b>{entry.name}</b>
        <code>{address.replace(/^ssh:\/\//, "")}</code>
        {entry.group !== null && <span className="tag">{entry.group}</span>}
        <span className="import-state">
          {state.kind === "adding" && <Loader size={12} />}
          <StateText state={state} />
        </span>
      </div>
      {state.kind === "wrong" && <ProblemCard problem={state.problem} />}
      {state.kind === "failed" && (
        <DeviceProblem problem={state.problem}>
          <Button size="compact-xs" variant="default" onClick={retry} disabled={locked}>
            Try again
          </Button>
        </DeviceProblem>
      )}
      {offered !== null && (
        <HostKeyQuestion offered={offered} target={address}>
          <div className="import-answers">
            <Button size="compact-xs" variant="default" onClick={skip} disabled={locked}>
              Leave it out
            </Button>
            <Button size="compact-xs" onClick={() => trust(confirmedKey(offered))} disabled={locked} data-testid={`trust-${entry.name}`}>
              It is the same: trust it
            </Button>
          </div>
        </HostKeyQuestion>
      )}
    </li>
  );
}

function StateText({ state }: { state: EntryState }) {
  switch (state.kind) {
    case "left":
      return state.why;
    case "wrong":
      return "not usable";
    case "waiting":
      return "";
    case "adding":
      return "connecting and checking…";
    case "added":
      return `added, ${state.words}`;
    case "asks":
      return "a question";
    case "failed":
      return "failed";
  }
}
