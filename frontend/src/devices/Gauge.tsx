/** A figure against its limit: filled as far as it is, with a mark where it was predicted; in words for who does not see it. */
import type { ReactNode } from "react";
import type { GaugeView, Tone } from "./gauge";

const TONE_CLASSES: Record<Tone, string> = { fine: "", close: " is-close", full: " is-over" };

interface GaugeProps {
  label: string;
  view: GaugeView;
  /** In place of the value in short. */
  children?: ReactNode;
  /** Beside the label. */
  note?: ReactNode;
  testId?: string;
}

export function Gauge({ label, view, children, note, testId }: GaugeProps) {
  const { fill, mark, tone, value, words } = view;
  return (
    <div className={`meter gauge${TONE_CLASSES[tone]}`} title={words} data-tone={tone} data-testid={testId}>
      <span className="meter-label">
        {label} {note}
      </span>
      <span className="meter-track" role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round((fill ?? 0) * 100)} aria-valuetext={words}>
        {fill !== null && <span style={{ transform: `scaleX(${fill})` }} />}
        {mark !== null && <i className="gauge-mark" style={{ left: `${mark * 100}%` }} />}
      </span>
      <span className="meter-value">
        {tone !== "fine" && (
          <i className="gauge-alarm" aria-hidden>
            !
          </i>
        )}
        {children ?? value}
      </span>
    </div>
  );
}
