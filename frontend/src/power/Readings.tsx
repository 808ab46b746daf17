/** Readings of a meter's counter, typed by hand, and the energy between them. */
import { Button, Checkbox, NumberInput, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { queryClient, readingsQuery } from "@/api/queries";
import { formatDuration } from "@/app/format";
import { HeadRow } from "@/app/HeadRow";
import { ProblemCard } from "@/app/ProblemCard";
import { ABSENT, joulesOr, wattsOr } from "./words";

const UNITS = { kWh: 3.6e6, Wh: 3600, J: 1 } as const;
type Unit = keyof typeof UNITS;

/** As meters show it, with every digit that was typed. */
const formatCounter = (joules: number) => (joules < 3600 ? `${joules} J` : `${Math.round((joules / 3.6e6) * 1e6) / 1e6} kWh`);

export function Readings({ name }: { name: string }) {
  const { data, error } = useQuery(readingsQuery(name));
  const [value, setValue] = useState<number | string>("");
  const [unit, setUnit] = useState<Unit>("kWh");
  const [reset, setReset] = useState(false);
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const file = (event: FormEvent) => {
    event.preventDefault();
    if (typeof value !== "number") return;
    setSending(true);
    setProblem(null);
    call(client.POST("/api/devices/{name}/meter-readings", { params: { path: { name } }, body: { energy_j: value * UNITS[unit], read_at: null, reset } }))
      .then(
        () => {
          setValue("");
          setReset(false);
          return queryClient.invalidateQueries({ queryKey: ["readings", name] });
        },
        (reason: unknown) => setProblem(asProblem(reason)),
      )
      .finally(() => setSending(false));
  };
  return (
    <div className="device-form">
      <p className="dialog-text">Type what the counter of your meter shows, before and after frames have run: the studio tells the energy between, and per frame.</p>
      <form className="reading-form" onSubmit={file}>
        <NumberInput label="The counter shows" min={0} value={value} onChange={setValue} hideControls decimalScale={6} data-testid="reading" data-autofocus />
        <Select label="Unit" value={unit} onChange={(chosen) => setUnit(chosen === "Wh" || chosen === "J" ? chosen : "kWh")} allowDeselect={false} data={Object.keys(UNITS)} w={90} data-testid="reading-unit" />
        <Button type="submit" loading={sending} disabled={typeof value !== "number"} data-testid="reading-add">
          File the reading
        </Button>
      </form>
      {data && data.length > 0 && (
        <Checkbox size="xs" label="The meter was set back or changed since the last reading" checked={reset} onChange={(event) => setReset(event.currentTarget.checked)} />
      )}
      {problem && <ProblemCard problem={problem} />}
      {error && <ProblemCard problem={asProblem(error)} />}
      {data && data.length > 0 && (
        <table className="plain-table" data-testid="readings">
          <caption>The newest first; at the wall, by hand</caption>
          <HeadRow titles={["Read", "Counter", "Since the last", "Energy", "Mean", "Frames", "J/frame"]} />
          <tbody>
            {data.map((reading) => (
              <tr key={reading.id}>
                <th scope="row">{new Date(reading.read_at).toLocaleString()}</th>
                <td>{formatCounter(reading.energy_j)}</td>
                <td>{reading.since_s === null ? ABSENT : formatDuration(reading.since_s)}</td>
                <td>{joulesOr(reading.since_energy_j)}</td>
                <td>{wattsOr(reading.mean_power_w)}</td>
                <td>{reading.frames ?? ABSENT}</td>
                <td>{joulesOr(reading.energy_per_frame_j)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
