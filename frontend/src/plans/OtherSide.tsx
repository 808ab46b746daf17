/** On the right of a card: the devices that the other plan has its layers on. */
import { markClass, useMarks } from "@/devices/marks";
import type { CardDifference } from "./useDifference";

export const otherWords = ({ other, name }: CardDifference): string => `in ${name}: ${other.map(({ device }) => (device === "" ? "no device" : device)).join(", ")}`;

export function OtherSide({ difference }: { difference: CardDifference }) {
  const marks = useMarks();
  const { other } = difference;
  return (
    <span className="card-other" data-testid="other-side" data-other-devices={other.map(({ device }) => device).join(" ")}>
      {other.map(({ device, share }) => {
        const mark = marks.get(device) ?? null;
        return (
          <span key={device} className={`card-segment ${markClass(mark, device !== "")}`} style={{ flexGrow: share }}>
            {other.length <= 4 && share > 0.2 && <b>{device === "" ? "–" : (mark?.initials ?? "?")}</b>}
          </span>
        );
      })}
    </span>
  );
}
