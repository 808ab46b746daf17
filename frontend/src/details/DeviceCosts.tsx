/** What layers cost on each device that was profiled, and how that is known. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { profilesQuery } from "@/api/queries";
import { formatAgo, formatDuration } from "@/app/format";
import { DeviceSign } from "@/devices/DeviceSign";
import { useMarks } from "@/devices/marks";
import { formatJoules, METHOD_WORDS } from "@/power/words";
import { newestOf, useCosts } from "@/profiles/costs";
import { describeConditions } from "@/profiles/table";
import { costsOn } from "./sums";

export function DeviceCosts({ model, layers, devices }: { model: string; layers: readonly string[]; devices: readonly string[] }) {
  const { data } = useQuery(profilesQuery);
  const costs = useCosts();
  const marks = useMarks();
  const newest = newestOf(data ?? [], model).sort((a, b) => (marks.get(a.device)?.number ?? 0) - (marks.get(b.device)?.number ?? 0));
  const without = devices.filter((device) => device !== "" && !newest.some((profile) => profile.device === device));
  const [now] = useState(() => Date.now());
  return (
    <>
      <h3 title="What was measured on the device, as its runtime fuses layers">Time and energy per frame</h3>
      <ul className="details-costs" data-testid="device-costs">
        {newest.map((profile) => {
          const sum = costsOn(costs.get(profile.device), layers);
          return (
            <li key={profile.id} className={devices.includes(profile.device) ? "is-here" : undefined}>
              <DeviceSign mark={marks.get(profile.device) ?? null} />
              <span>
                {profile.device}
                {devices.includes(profile.device) && <small>{devices.length > 1 ? " runs part; all of it:" : " runs it"}</small>}
              </span>
              <span className="details-bytes">
                {sum === null ? "…" : formatDuration(sum.seconds)}
                {sum?.joules == null ? "" : ` · ${formatJoules(sum.joules)}`}
              </span>
              <small title={describeConditions(profile)}>
                measured {formatAgo(profile.measured_at, now)}, {profile.energy ? `energy: ${METHOD_WORDS[profile.energy.method]}` : "no energy sensor"}
              </small>
            </li>
          );
        })}
        {without.map((device) => (
          <li key={device} className="is-here">
            <DeviceSign mark={marks.get(device) ?? null} />
            <span>{device}</span>
            <span className="details-bytes">not profiled</span>
          </li>
        ))}
        {newest.length === 0 && without.length === 0 && <li className="details-none">No device was profiled with this network.</li>}
      </ul>
    </>
  );
}
