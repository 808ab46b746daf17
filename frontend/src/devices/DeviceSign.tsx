/** A device's colour, pattern and initials in one small square. */
import { markClass } from "./marks";
import type { DeviceMark } from "./palette";

export function DeviceSign({ mark }: { mark: DeviceMark | null }) {
  return (
    <span className={`device-sign ${markClass(mark, true)}`} aria-hidden>
      {mark?.initials ?? "?"}
    </span>
  );
}
