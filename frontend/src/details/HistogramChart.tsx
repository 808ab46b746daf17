/** A weight's histogram: bars to be read with the pointer or the arrow keys, and the same as a table. */
import type { WeightHistogram } from "@/api/types";
import { formatCount, formatReal } from "@/app/format";
import { barsOf, tellBar, tellHistogram, tellRange } from "./histogram";
import { useReading } from "./useReading";

const [WIDTH, HEIGHT] = [256, 84];

export function HistogramChart({ histogram, log }: { histogram: WeightHistogram; log: boolean }) {
  const bars = barsOf(histogram, log);
  const [read, reading] = useReading(bars.length);
  const total = histogram.counts.reduce((sum, count) => sum + count, 0);
  const step = WIDTH / bars.length;
  const shown = read === null ? undefined : bars[read];
  return (
    <figure className="histogram">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`Histogram. ${tellHistogram(histogram)} Arrow keys read the bars.`}
        data-testid="histogram"
        {...reading}
      >
        {bars.map(({ low, height }, i) => (
          <rect key={low} className={i === read ? "is-read" : undefined} x={i * step} y={HEIGHT - height * (HEIGHT - 4)} width={Math.max(step - (step > 3 ? 0.75 : 0), 1)} height={height * (HEIGHT - 4)} />
        ))}
        <line x1={0} x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
      </svg>
      <figcaption>
        <span aria-live="polite">{shown ? tellBar(shown, total) : <Ends histogram={histogram} />}</span>
      </figcaption>
      <details className="histogram-table">
        <summary>As a table</summary>
        <div tabIndex={0} role="region" aria-label="Histogram as a table">
          <table>
            <thead>
              <tr>
                <th scope="col">Values</th>
                <th scope="col">How many</th>
              </tr>
            </thead>
            <tbody>
              {bars.map(({ low, high, count }) => (
                <tr key={low}>
                  <td>{tellRange(low, high)}</td>
                  <td>{formatCount(count)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function Ends({ histogram: { edges } }: { histogram: WeightHistogram }) {
  return (
    <span className="histogram-ends">
      <span>{formatReal(edges[0] ?? 0)}</span>
      <span>{formatReal(edges.at(-1) ?? 0)}</span>
    </span>
  );
}
