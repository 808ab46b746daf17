/** A network in the list: how it looks, what it costs, what hangs on it. */
import { ActionIcon, Tooltip } from "@mantine/core";
import { IconPencil, IconTrash } from "@tabler/icons-react";
import type { ModelSummary } from "@/api/types";
import { formatBytes, formatCount, formatMacs, formatShape, plural } from "@/app/format";
import { Link } from "@/app/Header";
import { editorPath } from "@/app/router";
import { describeDims, FormSwitch } from "./FormSwitch";
import { NetworkPicture } from "./NetworkPicture";

/** Why the simplified form is not used; that there is nothing to simplify is no news. */
const hasReason = ({ simplification }: ModelSummary): boolean => simplification !== "" && !simplification.startsWith("There is nothing");

export function ModelCard({ model, rename, remove }: { model: ModelSummary; rename: () => void; remove: () => void }) {
  const [input] = model.inputs;
  const facts: [string, string, string?][] = [
    ["Layers", String(model.layer_count)],
    ["Work", formatMacs(model.macs), "Multiply-accumulate operations for one frame"],
    ["Parameters", formatCount(model.parameters)],
    ["File", formatBytes(model.size_bytes), `${formatBytes(model.weight_bytes)} of weights`],
    ["Input", input ? formatShape(input.shape) : "none", describeDims(model.dims)],
  ];
  return (
    <li className="model-card" data-testid={`model-card-${model.id}`}>
      <NetworkPicture model={model} />
      <div className="model-body">
        <div className="model-head">
          <h2 title={model.name}>
            <Link to={editorPath(model.id)}>{model.name}</Link>
          </h2>
          {!model.trained && (
            <span className="tag" title="Its weights are random: good for speed and memory, not for answers">
              random weights
            </span>
          )}
          {model.deployment_id !== null && <span className="tag is-live">deployed</span>}
          <span className="model-doings">
            <Tooltip label="Rename">
              <ActionIcon variant="subtle" color="gray" onClick={rename} aria-label={`Rename ${model.name}`} data-testid={`rename-${model.id}`}>
                <IconPencil size={15} />
              </ActionIcon>
            </Tooltip>
            <Tooltip label="Remove">
              <ActionIcon variant="subtle" color="gray" onClick={remove} aria-label={`Remove ${model.name}`} data-testid={`remove-${model.id}`}>
                <IconTrash size={15} />
              </ActionIcon>
            </Tooltip>
          </span>
        </div>
        <dl>
          {facts.map(([term, value, why]) => (
            <div key={term}>
              <dt>{term}</dt>
              <dd title={why || undefined}>{value}</dd>
            </div>
          ))}
        </dl>
        <p className="model-uses">
          {model.plan_count === 0 ? "no plan yet" : plural(model.plan_count, "plan")} · {model.run_count === 0 ? "never ran" : plural(model.run_count, "run")}
        </p>
        {(model.simplified || model.simplifiable || hasReason(model)) && (
          <div className="model-form">
            <FormSwitch model={model} />
            <p>{model.simplification}</p>
          </div>
        )}
      </div>
    </li>
  );
}
