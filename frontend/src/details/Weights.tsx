/** The weights of a layer: each with its shape, and what it holds once it is opened. */
import { Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { asProblem } from "@/api/client";
import { weightFiguresQuery, weightsQuery } from "@/api/queries";
import type { Model, Weight } from "@/api/types";
import { formatBytes, formatShape } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { HistogramChart } from "./HistogramChart";
import { factsOf } from "./histogram";
import { SlicesChart } from "./SlicesChart";

export function Weights({ model, layer, op }: { model: Model; layer: string; op: string }) {
  const { data, error } = useQuery(weightsQuery(model, layer));
  const [log, setLog] = useState(false);
  if (error) return <ProblemCard problem={asProblem(error)} />;
  if (!data) return <p className="details-none">Looking for its weights…</p>;
  const largest = data.reduce<Weight | null>((most, weight) => (most === null || weight.size_bytes > most.size_bytes ? weight : most), null);
  return (
    <section data-testid="weights">
      <div className="details-row">
        <h3>Weights</h3>
        <Switch size="xs" labelPosition="left" label="Log scale" checked={log} onChange={(event) => setLog(event.currentTarget.checked)} data-testid="weights-log" />
      </div>
      {data.map((weight) => (
        <WeightItem key={weight.name} model={model} weight={weight} op={op} log={log} first={weight === largest} />
      ))}
    </section>
  );
}

function WeightItem({ model, weight, op, log, first }: { model: Model; weight: Weight; op: string; log: boolean; first: boolean }) {
  const [open, setOpen] = useState(first);
  const { name, dtype, shape, size_bytes: bytes } = weight;
  return (
    <details className="weight" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary data-testid={`weight-${name}`}>
        <b title={name}>{name}</b>
        <span>
          {dtype} · {formatShape(shape)} · {formatBytes(bytes)}
        </span>
      </summary>
      {open && <Figures model={model} weight={weight} op={op} log={log} />}
    </details>
  );
}

function Figures({ model, weight, op, log }: { model: Model; weight: Weight; op: string; log: boolean }) {
  const { data, error } = useQuery(weightFiguresQuery(model, weight.name));
  if (error) return <ProblemCard problem={asProblem(error)} />;
  if (!data) return <p className="details-none histogram-wait">Reading it…</p>;
  return (
    <>
      {data.histogram && <HistogramChart histogram={data.histogram} log={log} />}
      {data.slices && <SlicesChart slices={data.slices} word={op === "Conv" && weight.shape.length > 2 ? "filter" : "row"} />}
      <dl>
        {factsOf(data, weight.elements).map(({ name, text, isOdd }) => (
          <div key={name} className={isOdd ? "details-pair is-odd" : "details-pair"}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}
