/** Plans of other tools: their files in, the person says which devices they mean, and AutoDiCE's files out. */
import { Button, Select, Textarea } from "@mantine/core";
import { useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import type { AutodiceFiles, Device, Model } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { download, fileName } from "@/app/download";
import { FilePick } from "@/app/FilePick";
import { own } from "@/app/own";
import { ProblemCard } from "@/app/ProblemCard";
import { planDocument } from "@/plan/content";
import { autodiceHosts, mapDevices, readCuts, sameNamed, type Names } from "@/plan/foreign";
import { planStore } from "@/plan/store";
import "@/styles/plan.css";
import { useImport, type Importing } from "./useImport";

export type Foreign = "import-autodice" | "import-map" | "import-cuts" | "export-autodice";

interface DialogProps {
  model: Model;
  devices: readonly Device[];
  close: () => void;
}

const TITLES: Record<Foreign, string> = {
  "import-autodice": "Import AutoDiCE files",
  "import-map": "Import a map of layers to devices",
  "import-cuts": "Import a list of cuts",
  "export-autodice": "Export for AutoDiCE",
};

export default function ForeignDialog({ what, ...props }: DialogProps & { what: Foreign }) {
  return (
    <Dialog onClose={props.close} title={TITLES[what]} size="lg">
      <div className="foreign" data-testid="foreign">
        {what === "import-autodice" && <FromAutodice {...props} />}
        {what === "import-map" && <FromMap {...props} />}
        {what === "import-cuts" && <FromCuts {...props} />}
        {what === "export-autodice" && <ToAutodice {...props} />}
      </div>
    </Dialog>
  );
}

interface TextFile {
  name: string;
  text: string;
}

function Footer({ importing: { busy, problem, notes }, ready, submit, close }: { importing: Importing; ready: boolean; submit: () => void; close: () => void }) {
  if (notes) {
    return (
      <>
        <ul className="foreign-notes" role="status" data-testid="foreign-notes">
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
        <footer>
          <Button size="xs" onClick={close} data-testid="foreign-done">
            Done
          </Button>
        </footer>
      </>
    );
  }
  return (
    <>
      {problem && <ProblemCard problem={problem} />}
      <footer>
        <Button size="xs" variant="default" onClick={close}>
          Cancel
        </Button>
        <Button size="xs" loading={busy} disabled={!ready} onClick={submit} data-testid="foreign-import">
          Import
        </Button>
      </footer>
    </>
  );
}

interface FileFieldProps {
  label: string;
  help: string;
  file: TextFile | null;
  choose: (file: TextFile) => void;
  importing: Importing;
  accept: string;
  testid: string;
}

function FileField({ label, help, file, choose, importing, accept, testid }: FileFieldProps) {
  const load = (chosen: File) => {
    importing.reset();
    chosen.text().then((text) => choose({ name: chosen.name, text }), importing.fail);
  };
  return (
    <div className="foreign-file">
      <div>
        <b>{label}</b>
        <p>{file ? file.name : help}</p>
      </div>
      <FilePick label={label} take={load} accept={accept} testId={testid}>
        {(props) => (
          <Button {...props} size="compact-sm" variant="default">
            {file ? "Another…" : "Choose…"}
          </Button>
        )}
      </FilePick>
    </div>
  );
}

const KEEP = "";

/** Which registered device each name in the files is. */
function NameTable({ names, devices, chosen, choose }: { names: readonly string[]; devices: readonly Device[]; chosen: Record<string, string>; choose: (name: string, device: string) => void }) {
  if (names.length === 0) return null;
  return (
    <table className="foreign-names">
      <thead>
        <tr>
          <th scope="col">In the files</th>
          <th scope="col">Registered device</th>
        </tr>
      </thead>
      <tbody>
        {names.map((name) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>
              <Select
                size="xs"
                aria-label={`Device for ${name}`}
                value={own(chosen, name) ?? KEEP}
                data={[{ value: KEEP, label: `${name}, as it is` }, ...devices.map((device) => ({ value: device.name, label: device.name }))]}
                onChange={(value) => choose(name, value ?? KEEP)}
                allowDeselect={false}
                data-testid={`foreign-device-${name}`}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Names in files, and what the person said they are; those of the same name to begin with. */
function useNames(read: Names | null, devices: readonly Device[]) {
  const [said, setSaid] = useState<Record<string, string>>({});
  const names = read && "names" in read ? read.names : [];
  const chosen = { ...sameNamed(names, devices.map(({ name }) => name)), ...said };
  const mapped = Object.fromEntries(
    names.flatMap((name) => {
      const device = own(chosen, name) ?? KEEP;
      return device === KEEP ? [] : [[name, device] as const];
    }),
  );
  return { names, chosen, mapped, choose: (name: string, device: string) => setSaid((old) => ({ ...old, [name]: device })), wrong: read && "problem" in read ? read.problem : null };
}

function FromAutodice({ model, devices, close }: DialogProps) {
  const [mapping, setMapping] = useState<TextFile | null>(null);
  const [horizontal, setHorizontal] = useState<TextFile | null>(null);
  const [platform, setPlatform] = useState<TextFile | null>(null);
  const importing = useImport("AutoDiCE files", close);
  const { names, chosen, mapped, choose, wrong } = useNames(mapping && autodiceHosts(mapping.text, horizontal?.text ?? null), devices);
  const submit = () => {
    if (!mapping) return;
    const body = { mapping: mapping.text, horizontal: horizontal?.text ?? null, platform: platform?.text ?? null, devices: mapped };
    importing.send(call(client.POST("/api/models/{model_id}/plans/import-autodice", { params: { path: { model_id: model.id } }, body })));
  };
  return (
    <>
      <FileField label="Mapping" help="JSON: which host runs which layers" file={mapping} choose={setMapping} importing={importing} accept=".json,application/json" testid="autodice-mapping" />
      <FileField label="Horizontal (optional)" help="JSON: which layers are divided, and how" file={horizontal} choose={setHorizontal} importing={importing} accept=".json,application/json" testid="autodice-horizontal" />
      <FileField label="Platform (optional)" help="Text: what the hosts are" file={platform} choose={setPlatform} importing={importing} accept=".txt,.csv,.cfg,text/plain" testid="autodice-platform" />
      {wrong !== null && <p className="foreign-wrong">{wrong}</p>}
      <NameTable names={names} devices={devices} chosen={chosen} choose={choose} />
      <Footer importing={importing} ready={mapping !== null && wrong === null} submit={submit} close={close} />
    </>
  );
}

function FromMap({ model, devices, close }: DialogProps) {
  const [map, setMap] = useState<TextFile | null>(null);
  const importing = useImport("a map", close);
  const { names, chosen, mapped, choose, wrong } = useNames(map && mapDevices(map.text), devices);
  const submit = () => {
    if (!map) return;
    importing.send(call(client.POST("/api/models/{model_id}/plans/import-map", { params: { path: { model_id: model.id } }, body: { map: map.text, devices: mapped } })));
  };
  return (
    <>
      <FileField label="Map" help='JSON: {"layer": "device", …}' file={map} choose={setMap} importing={importing} accept=".json,application/json" testid="map-file" />
      {wrong !== null && <p className="foreign-wrong">{wrong}</p>}
      <NameTable names={names} devices={devices} chosen={chosen} choose={choose} />
      <Footer importing={importing} ready={map !== null && wrong === null} submit={submit} close={close} />
    </>
  );
}

function FromCuts({ model, devices, close }: DialogProps) {
  const [text, setText] = useState("");
  const [said, setSaid] = useState<Record<number, string>>({});
  const importing = useImport("a list of cuts", close);
  const cuts = readCuts(text);
  const names = devices.map(({ name }) => name);
  const parts = cuts.length === 0 ? [] : [...cuts, null].map((cut, i) => ({ upTo: cut, device: said[i] ?? names[i % Math.max(names.length, 1)] ?? "" }));
  const submit = () => {
    const body = { cuts, devices: parts.map(({ device }) => device) };
    importing.send(call(client.POST("/api/models/{model_id}/plans/import-cuts", { params: { path: { model_id: model.id } }, body })));
  };
  return (
    <>
      <Textarea
        size="xs"
        label="Tensors to cut at, in order"
        description="One name a line, or a JSON list"
        autosize
        minRows={3}
        maxRows={10}
        value={text}
        onChange={(event) => {
          importing.reset();
          setText(event.currentTarget.value);
        }}
        data-testid="cuts-text"
      />
      <FileField label="Or from a file" help="The same, as a file" file={null} choose={(file) => setText(file.text)} importing={importing} accept=".json,.txt,application/json,text/plain" testid="cuts-file" />
      {parts.length > 0 && (
        <table className="foreign-names">
          <thead>
            <tr>
              <th scope="col">Part</th>
              <th scope="col">Registered device</th>
            </tr>
          </thead>
          <tbody>
            {parts.map(({ upTo, device }, i) => (
              // Parts have no other name than their place.
              <tr key={i}>
                <th scope="row">{upTo === null ? "the rest" : `up to ${upTo}`}</th>
                <td>
                  <Select size="xs" aria-label={`Device of part ${i + 1}`} value={device} data={names} onChange={(value) => setSaid((old) => ({ ...old, [i]: value ?? device }))} allowDeselect={false} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Footer importing={importing} ready={cuts.length > 0 && names.length > 0} submit={submit} close={close} />
    </>
  );
}

function ToAutodice({ model, close }: DialogProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [files, setFiles] = useState<AutodiceFiles | null>(null);
  const make = () => {
    setBusy(true);
    setProblem(null);
    call(client.POST("/api/models/{model_id}/plans/export-autodice", { params: { path: { model_id: model.id } }, body: planDocument(model, planStore.getState().content) }))
      .then(setFiles, (error: unknown) => setProblem(asProblem(error)))
      .finally(() => setBusy(false));
  };
  const name = fileName(model.name, "network");
  const others = Object.entries(files?.devices ?? {});
  return (
    <>
      <p className="dialog-text">AutoDiCE reads a mapping file and, where layers are divided, a horizontal file.</p>
      {problem && <ProblemCard problem={problem} />}
      {files && (
        <div className="foreign-downloads">
          <Button size="xs" onClick={() => download(`${name}.mapping.json`, files.mapping)} data-testid="autodice-save-mapping">
            Save the mapping
          </Button>
          {files.horizontal != null ? (
            <Button size="xs" onClick={() => download(`${name}.horizontal.json`, files.horizontal ?? "")} data-testid="autodice-save-horizontal">
              Save the horizontal file
            </Button>
          ) : (
            <span>No layer is divided: there is no horizontal file.</span>
          )}
        </div>
      )}
      {others.length > 0 && <p className="dialog-text">Names in the files: {others.map(([theirs, ours]) => `${theirs} is ${ours}`).join(", ")}.</p>}
      <footer>
        <Button size="xs" variant="default" onClick={close}>
          Close
        </Button>
        {!files && (
          <Button size="xs" loading={busy} onClick={make} data-testid="autodice-export">
            Make the files
          </Button>
        )}
      </footer>
    </>
  );
}
