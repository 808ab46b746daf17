/** One figure, old beside new. Better and worse are words, so that colour is not the only sign. */
import { withoutUnit, type FigureRow } from "@/plan/changes";

const CLASSES = { true: "is-better", false: "is-worse", null: "is-same" } as const;

export function FigureChip({ row: { title, what, old, now, change, isBetter } }: { row: FigureRow }) {
  return (
    <li className="figure-chip" title={what}>
      <span className="figure-title">{title}</span>
      <span className="figure-values">
        {old !== null && (
          <>
            <s>
              <span className="visually-hidden">was </span>
              {withoutUnit(old, now)}
            </s>
            <span aria-hidden>→</span>
          </>
        )}
        <b>{now}</b>
      </span>
      <span className={`figure-change ${CLASSES[`${isBetter}`]}`}>{change === null ? (old === null ? "" : "changed") : `${change} ${isBetter ? "better" : "worse"}`}</span>
    </li>
  );
}
