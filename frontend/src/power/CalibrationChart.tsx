/** A calibrated power model: its points, its line, and the band of what it misses. */
import type { PowerModel } from "@/api/types";
import { formatAgo, formatPercent } from "@/app/format";
import { HeadRow } from "@/app/HeadRow";
import { useNow } from "@/live/store";
import { doubtOf, levelWords, plotOf, warningsOf } from "./calibration";
import { formatWatts } from "./words";

const WIDTH = 360;
const HEIGHT = 170;

export function CalibrationChart({ model }: { model: PowerModel }) {
  const now = useNow();
  const plot = plotOf(model, WIDTH, HEIGHT);
  const { band, line } = plot;
  const points = model.points ?? [];
  const warnings = warningsOf(model);
  const words = `${formatWatts(model.idle_w)} idle to ${formatWatts(model.busy_w)} busy${model.residual_w === null ? "" : `, points within ±${formatWatts(model.residual_w)} of the line`}`;
  return (
    <figure className="calibration" data-testid="calibration-chart">
      <svg viewBox={`-52 -8 ${WIDTH + 70} ${HEIGHT + 44}`} role="img" aria-label={`Power over utilisation: ${words}`}>
        {plot.ticks.map(({ y, watts }) => (
          <g key={watts} className="tick">
            <line x1={0} x2={WIDTH} y1={y} y2={y} />
            <text x={-8} y={y + 4} textAnchor="end">
              {formatWatts(watts)}
            </text>
          </g>
        ))}
        {[0, 0.25, 0.5, 0.75, 1].map((share) => (
          <text key={share} x={share * WIDTH} y={HEIGHT + 17} textAnchor="middle" className="tick-x">
            {formatPercent(share)}
          </text>
        ))}
        <text x={WIDTH / 2} y={HEIGHT + 32} textAnchor="middle" className="tick-x">
          utilisation
        </text>
        {band && <polygon className="band" points={`0,${band.top0} ${WIDTH},${band.top1} ${WIDTH},${band.bottom1} 0,${band.bottom0}`} />}
        <line className="fit" x1={0} x2={WIDTH} y1={line.y0} y2={line.y1} />
        {plot.points.map(({ x, y, point }) => (
          <circle key={point.level} className={doubtOf(point) === null ? "point" : "point is-doubtful"} cx={x} cy={y} r={4}>
            <title>{`${levelWords(point.level)}: ${formatWatts(point.power_w)} at ${formatPercent(point.utilisation)}, ${point.source}`}</title>
          </circle>
        ))}
      </svg>
      <figcaption>
        {words}. {model.source === "declared" ? "Declared, not measured." : model.calibrated_at === null ? "Calibrated." : `Calibrated ${formatAgo(model.calibrated_at, now)}.`}
      </figcaption>
      {warnings.length > 0 && (
        <ul className="job-warnings" data-testid="calibration-warnings">
          {warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
      {points.length > 0 && (
        <table className="plain-table">
          <HeadRow titles={["Level", "Utilisation", "Watts", "From"]} />
          <tbody>
            {points.map((point) => (
              <tr key={point.level}>
                <th scope="row">{levelWords(point.level)}</th>
                <td className={doubtOf(point) === null ? "" : "is-short"}>
                  {formatPercent(point.utilisation)}
                  {doubtOf(point) !== null && <small>{doubtOf(point)}</small>}
                </td>
                <td>{formatWatts(point.power_w)}</td>
                <td>{point.source}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </figure>
  );
}
