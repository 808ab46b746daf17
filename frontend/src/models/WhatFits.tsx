/** Before a file is chosen: what the studio takes, what it does not, why, and what to do then. */
import { IconChevronRight } from "@tabler/icons-react";

const REFUSED: readonly (readonly [what: string, why: string, then: string])[] = [
  ["Operators of your own, or of a framework", "No device could compute them.", "Export with standard ONNX operators; com.microsoft and ai.onnx.ml are taken too."],
  ["Random layers, such as dropout in training mode", "No plan could be checked against the whole network.", "Export in inference mode."],
  ["Shapes that are known only while it runs", "Nothing could be placed before it runs.", "Export with fixed sizes; a free batch or a named dimension is asked for when you add it."],
  ["Sequences, maps, texts and sparse tensors", "They cannot travel between devices.", "Export with float or integer tensors."],
  ["Circles between nodes", "A frame passes every layer once. Loops inside one operator are fine.", "Export without recurrence between nodes."],
  ["Larger than 4 GiB", "More than the studio takes in.", "Choose a smaller network, or float16 weights."],
];

export function WhatFits() {
  return (
    <details className="what-fits">
      <summary>
        <IconChevronRight size={14} aria-hidden /> What can be added, and what cannot
      </summary>
      <p>Any convolutional network in ONNX, of any exporter. Each file is tried in a process of its own first: one that breaks it harms nothing. A refusal names the layer and its operator.</p>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Not taken</th>
            <th scope="col">Why</th>
            <th scope="col">What to do</th>
          </tr>
        </thead>
        <tbody>
          {REFUSED.map(([what, why, then]) => (
            <tr key={what}>
              <th scope="row">{what}</th>
              <td>{why}</td>
              <td>{then}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
