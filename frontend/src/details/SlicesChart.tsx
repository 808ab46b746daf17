/** The range of each filter of a weight, side by side: one that is dead or far out is seen. Read as a histogram is. */
import type { WeightSlices } from "@/api/types";
import { formatReal, formatWhole, plural } from "@/app/format";
import { slicesPath } from "./histogram";
import { useReading } from "./useReading";

const [WIDTH, HEIGHT] = [256, 44];

export function SlicesChart({ slices, word }: { slices: WeightSlices; word: string }) {
  const count = slices.minimum.length;
  const [read, reading] = useReading(count);
  const drawn = slicesPath(slices, WIDTH, HEIGHT);
  if (!drawn) return null;
  const range = (i: number) => {
    const [low, high] = [slices.minimum[i] ?? null, slices.maximum[i] ?? null];
    return low === null || high === null ? "nothing finite" : `${formatReal(low)} to ${formatReal(high)}`;
  };
  const flat = slices.minimum.filter((low, i) => low === 0 && slices.maximum[i] === 0).length;
  const told = `Ranges of ${plural(count, word)}${flat > 0 ? `, ${formatWhole(flat)} all zero` : ""}`;
  return (
    <figure className="histogram slices">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${told}. Arrow keys read them.`}
        {...reading}
      >
        <line x1={0} x2={WIDTH} y1={drawn.zero} y2={drawn.zero} />
        {read !== null && <rect x={read * drawn.step} y={0} width={Math.max(drawn.step, 1)} height={HEIGHT} className="slice-read" />}
        <path d={drawn.path} strokeWidth={Math.min(Math.max(drawn.step * 0.7, 0.5), 5)} />
      </svg>
      <figcaption aria-live="polite">{read === null ? told : `${word} ${read}: ${range(read)}`}</figcaption>
    </figure>
  );
}
