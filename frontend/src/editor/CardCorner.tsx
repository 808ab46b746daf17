/** The output's shape, or what the card is coloured by. */
import { formatShape, withoutBatch } from "@/app/format";

export function CardCorner({ shape, heat }: { shape: readonly number[]; heat: string | null }) {
  if (heat !== null) return <span className="card-shape card-value">{heat}</span>;
  return (
    <span className="card-shape" title={formatShape(shape)}>
      {formatShape(withoutBatch(shape))}
    </span>
  );
}
