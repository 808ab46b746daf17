/** One saved plan: what it is called and noted, where it puts the layers, what is predicted of it. */
import { ActionIcon } from "@mantine/core";
import { IconCopy, IconDownload, IconLayoutColumns, IconPencil, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import type { SavedPlan } from "@/api/types";
import { formatAgo, formatBytes, formatDuration } from "@/app/format";
import { usePlan } from "@/plan/store";
import { formatValue } from "@/planner/words";
import { Signs } from "./CompareTable";
import { restsOn } from "./figures";
import { NameField, useFocusAfter } from "./NameField";
import { firstLine } from "./subjects";
import type { Foretold } from "./useSubjects";

export interface PlanActions {
  open: () => void;
  rename: (name: string) => void;
  duplicate: () => void;
  compare: () => void;
  /** Into a file. */
  save: () => void;
  remove: () => void;
}

interface PlanRowProps {
  plan: SavedPlan;
  isOpen: boolean;
  /** Whether it is for another form of the network: it can be removed, and not opened here. */
  isOther: boolean;
  foretold: Foretold | null;
  now: number;
  actions: PlanActions;
}

export function PlanRow({ plan, isOpen, isOther, foretold, now, actions }: PlanRowProps) {
  const [naming, setNaming] = useState(false);
  const { ref, ended } = useFocusAfter();
  const notesNow = usePlan(({ rest }) => rest.notes);
  const note = firstLine(isOpen ? notesNow : plan.plan.notes);
  return (
    <li className={isOpen ? "plan-row is-open" : "plan-row"} data-testid={`plan-row-${plan.id}`}>
      {naming ? (
        <NameField
          name={plan.name}
          label={`Name of ${plan.name}`}
          done={(name, byKey) => {
            ended(byKey);
            setNaming(false);
            if (name !== null) actions.rename(name);
          }}
          testId="plan-row-name"
        />
      ) : (
        <button ref={ref} type="button" className="plan-row-main" aria-current={isOpen ? "true" : undefined} disabled={isOther} onClick={actions.open} title={isOther ? "For another form of the network: open the network in that form first" : note} data-testid={`plan-open-${plan.id}`}>
          <b>{plan.name}</b>
          <span>
            {isOpen ? "open" : formatAgo(plan.updated_at, now)}
            {isOther && " · for another form"}
            {note !== "" && ` · ${note}`}
          </span>
        </button>
      )}
      <span className="plan-row-told">
        {foretold && <Signs local={foretold.local} />}
        <Told foretold={foretold} />
      </span>
      <span className="plan-row-acts">
        <Act label={`Name ${plan.name} anew`} run={() => setNaming(true)} testId="row-rename">
          <IconPencil size={14} />
        </Act>
        <Act label={`Duplicate ${plan.name}`} run={actions.duplicate} isOff={isOther} testId="row-duplicate">
          <IconCopy size={14} />
        </Act>
        <Act label={`Compare the open plan with ${plan.name}`} run={actions.compare} isOff={isOther || isOpen} testId="row-compare">
          <IconLayoutColumns size={14} />
        </Act>
        <Act label={`Export ${plan.name} to a file`} run={actions.save} isOff={isOther} testId="row-export">
          <IconDownload size={14} />
        </Act>
        <Act label={`Delete ${plan.name}`} run={actions.remove} testId="row-remove">
          <IconTrash size={14} />
        </Act>
      </span>
    </li>
  );
}

interface ActProps {
  label: string;
  run: () => void;
  isOff?: boolean;
  testId: string;
  children: React.ReactNode;
}

function Act({ label, run, isOff = false, testId, children }: ActProps) {
  return (
    <ActionIcon variant="subtle" color="gray" size={24} aria-label={label} title={label} disabled={isOff} onClick={run} data-testid={testId}>
      {children}
    </ActionIcon>
  );
}

/** Frames, time and memory as far as they are known; why not, where they cannot be. */
function Told({ foretold }: { foretold: Foretold | null }) {
  if (foretold === null) return null;
  const { prediction, why, pending } = foretold;
  if (!prediction) return <small title={why ?? undefined}>{why ?? (pending ? "predicting…" : "")}</small>;
  return (
    <small title={restsOn(prediction)}>
      {formatValue("throughput", prediction.throughput_per_s)} · {formatDuration(prediction.latency_s)} · {formatBytes(prediction.max_memory_bytes)}
    </small>
  );
}
