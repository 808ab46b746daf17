/** Says what of a plan fits this version of the network and what not, and asks whether that is taken. */
import { Button } from "@mantine/core";
import { Dialog } from "@/app/Dialog";
import { plural } from "@/app/format";
import "@/styles/plan.css";
import type { Asked } from "./fitStore";

export default function FitDialog({ file, why, fit, answer }: Asked) {
  const { layers, gone, left, divisions } = fit;
  return (
    <Dialog onClose={() => answer(false)} title="A plan for another version of the network" size="lg">
      <div className="fit" data-testid="plan-fit">
        <p className="dialog-text">
          <bdi>{file}</bdi>: {why}
        </p>
        <ul>
          <li>
            <b>{plural(layers, "layer")}</b> {layers === 1 ? "fits and goes" : "fit and go"} where the plan has {layers === 1 ? "it" : "them"}.
          </li>
          {gone.length > 0 && <Layers words={`${plural(gone.length, "layer")} of the plan ${gone.length === 1 ? "is" : "are"} not in this network, and left out.`} layers={gone} />}
          {left.length > 0 && <Layers words={`${plural(left.length, "layer")} of this network ${left.length === 1 ? "is" : "are"} on no device then.`} layers={left} />}
          {divisions > 0 && <li>{plural(divisions, "division")} {divisions === 1 ? "falls" : "fall"} away: not all of the layers are there.</li>}
        </ul>
        <footer>
          <Button size="xs" variant="default" onClick={() => answer(false)} data-testid="fit-cancel">
            Cancel
          </Button>
          <Button size="xs" onClick={() => answer(true)} data-autofocus data-testid="fit-take">
            Take what fits
          </Button>
        </footer>
      </div>
    </Dialog>
  );
}

/** So many names are enough to know which are meant. */
const NAMED = 200;

function Layers({ words, layers }: { words: string; layers: readonly string[] }) {
  return (
    <li>
      <details>
        <summary>{words}</summary>
        <p className="fit-layers" tabIndex={0} role="region" aria-label={words}>
          <bdi>{layers.slice(0, NAMED).join(", ")}</bdi>
          {layers.length > NAMED && ` and ${layers.length - NAMED} more`}
        </p>
      </details>
    </li>
  );
}
