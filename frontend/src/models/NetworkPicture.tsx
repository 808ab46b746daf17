/** A small picture of a network's folded graph: its ranks from left to right in rows, blocks larger than layers. */
import type { ModelSummary } from "@/api/types";
import { pictureBoxes, PICTURE } from "./picture";

export function NetworkPicture({ model }: { model: Pick<ModelSummary, "picture" | "layer_count"> }) {
  const boxes = pictureBoxes(model.picture);
  return (
    <svg className="network-picture" viewBox={`0 0 ${PICTURE.width} ${PICTURE.height}`} aria-hidden>
      {boxes.map(({ x, y, width, height, kind }, i) => (
        <rect key={i} className={`np-${kind}`} x={x} y={y} width={width} height={height} rx={1} />
      ))}
    </svg>
  );
}
