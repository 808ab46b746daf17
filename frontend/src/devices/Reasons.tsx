/** What a verdict rests on: how heavy it weighs, what it is, what to do. */
import { IconAlertTriangle, IconCircleX, IconInfoCircle } from "@tabler/icons-react";
import type { Reason } from "@/api/types";

const SIGNS = { cannot: IconCircleX, limit: IconAlertTriangle, note: IconInfoCircle } as const;
const WORDS: Record<Reason["severity"], string> = { cannot: "Cannot", limit: "Limit", note: "Note" };
const ORDER: readonly Reason["severity"][] = ["cannot", "limit", "note"];

export function Reasons({ reasons }: { reasons: readonly Reason[] }) {
  if (reasons.length === 0) return null;
  const sorted = ORDER.flatMap((severity) => reasons.filter((reason) => reason.severity === severity));
  return (
    <ul className="reasons" aria-label="What the verdict rests on">
      {sorted.map(({ code, severity, text, next_step }) => {
        const Sign = SIGNS[severity];
        return (
          <li key={`${code} ${text}`} className={`reason-${severity}`} data-code={code}>
            <Sign size={15} aria-hidden />
            <b>{WORDS[severity]}</b>
            <span>
              {text}
              {next_step !== "" && <i>{next_step}</i>}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
