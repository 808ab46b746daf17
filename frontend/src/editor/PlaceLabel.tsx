/** A place to choose: its device's sign, its name, and the device behind it where that has another. */
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";

export function PlaceLabel({ place, device }: { place: string; device: string }) {
  const marks = useMarks();
  return (
    <span className="split-place">
      <DeviceSign mark={marks.get(device) ?? null} /> {place}
      {place !== device && <small>{device}</small>}
    </span>
  );
}
