/** One profile: sums, conditions, and what each layer costs. */
import { Button, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconArrowLeft } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { asProblem } from "@/api/client";
import { profileQuery } from "@/api/queries";
import type { Profile } from "@/api/types";
import { formatAgo, formatBytes, formatDuration, formatElapsed, plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { throttleWords } from "@/devices/checkGroups";
import { useNow } from "@/live/store";
import { Amount, Throttled } from "@/power/PowerFigure";
import { ABSENT, describeProvenance, formatJoules, joulesOr } from "@/power/words";
import { describeConditions, layerRows, sorted, withSpread, type LayerRow, type SortBy } from "./table";

interface ProfileResultProps {
  id: number;
  back: () => void;
}

export function ProfileResult({ id, back }: ProfileResultProps) {
  const { data, error, isPending } = useQuery(profileQuery(id));
  return (
    <div className="profile" data-testid="profile-result">
      <Button size="compact-xs" variant="subtle" leftSection={<IconArrowLeft size={13} />} onClick={back} className="back" data-autofocus>
        All profiles of this device
      </Button>
      {isPending && <Loader size="sm" />}
      {error && <ProblemCard problem={asProblem(error)} />}
      {data && <Shown profile={data} />}
    </div>
  );
}

function Shown({ profile }: { profile: Profile }) {
  const now = useNow();
  const { energy } = profile;
  return (
    <>
      <p className="profile-conditions">
        <b>{profile.model_name}</b> on <b>{profile.device}</b>, measured {formatAgo(profile.measured_at, now)} in {formatElapsed(profile.duration_s)} · {describeConditions(profile)}
        {profile.temperature_c !== null && ` · ${profile.temperature_c.toFixed(1)}\u202f°C`} <Throttled names={profile.throttled.length === 0 ? [] : [throttleWords(profile.throttled)]} />
      </p>
      <dl className="sums">
        <Sum term="Whole network, in one go" value={withSpread(profile.run_s, profile.run_spread_s)} note={profile.pieces > 1 ? `in ${profile.pieces} pieces, to fit its memory` : "median ± half the quartile distance"} />
        <Sum term="Fused kernels, summed" value={formatDuration(profile.kernels_s)} note={plural(profile.kernels.length, "kernel")} />
        <Sum term="Layers alone, summed" value={formatDuration(profile.layers_s)} note="without fusion, with overhead each" />
        <Sum term="Weights" value={formatBytes(profile.weight_bytes)} note={`peak ${formatBytes(profile.peak_bytes)}`} />
        <div>
          <dt>Energy of a run</dt>
          <dd>
            <Amount text={joulesOr(energy?.gross_j)} from={energy} />
            <small>{energy === null ? "no source" : `net ${joulesOr(energy.net_j)} · ${describeProvenance(energy)}`}</small>
          </dd>
        </div>
      </dl>
      {profile.warnings.length > 0 && (
        <ul className="job-warnings">
          {profile.warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
      <LayerTable profile={profile} />
    </>
  );
}

function Sum({ term, value, note }: { term: string; value: string; note: string }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>
        {value}
        <small>{note}</small>
      </dd>
    </div>
  );
}

const COLUMNS: readonly (readonly [title: string, sort: SortBy | null])[] = [
  ["Layer", "place"],
  ["Alone", "time"],
  ["Fused", null],
  ["Spread", null],
  ["Weights", "weight"],
  ["Output", "output"],
  ["Energy", "energy"],
];

function LayerTable({ profile }: { profile: Profile }) {
  const [by, setBy] = useState<SortBy>("time");
  const rows = useMemo(() => sorted(layerRows(profile), by), [profile, by]);
  const most = useMemo(() => profile.layers.reduce((top, { median_s }) => Math.max(top, median_s), 0), [profile]);
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Layers">
      <table className="plain-table layer-table" data-testid="profile-layers">
        <thead>
          <tr>
            {COLUMNS.map(([title, sort]) => (
              <th key={title} scope="col" aria-sort={sort === by ? (by === "place" ? "ascending" : "descending") : undefined}>
                {sort === null ? (
                  title
                ) : (
                  <button type="button" className="sort" onClick={() => setBy(sort)}>
                    {title}
                    {sort === by && <span aria-hidden> {by === "place" ? "↑" : "↓"}</span>}
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <LayerLine key={row.place} row={row} share={most > 0 ? row.aloneS / most : 0} energy={profile.energy} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LayerLine({ row, share, energy }: { row: LayerRow; share: number; energy: Profile["energy"] }) {
  const others = row.fused === null ? 0 : row.fused.layers.length - 1;
  return (
    <tr>
      <th scope="row">{row.layer}</th>
      <td className="with-bar">
        <span className="bar" style={{ width: `${share * 100}%` }} aria-hidden />
        <span>{formatDuration(row.aloneS)}</span>
      </td>
      <td title={row.fused === null ? "The runtime folded it away, or it was not measured in a kernel" : row.fused.layers.join(", ")}>
        {row.fused === null ? ABSENT : formatDuration(row.fused.seconds)}
        {others > 0 && <small>with {others} more</small>}
      </td>
      <td title={`half the quartile distance of ${plural(row.runs, "run")}`}>± {formatDuration(row.spreadS / 2)}</td>
      <td>{row.weightBytes === 0 ? ABSENT : formatBytes(row.weightBytes)}</td>
      <td>{formatBytes(row.outputBytes)}</td>
      <td className={energy?.method === "estimated" && row.energyJ !== null ? "is-estimate" : ""}>{row.energyJ === null ? ABSENT : formatJoules(row.energyJ)}</td>
    </tr>
  );
}
