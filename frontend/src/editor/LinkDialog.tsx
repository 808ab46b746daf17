/** How the tensors of an edge travel from device to device: its codec, what it saves, and why. */
import { Button, Group, NumberInput, Radio, SegmentedControl } from "@mantine/core";
import { useState } from "react";
import type { Cut } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { formatBytes, formatPercent } from "@/app/format";
import { at, type Network, type NetworkEdge } from "@/graph/network";
import { clips, CODEC_WORDS, withCodec, type CodecScope } from "@/plan/codecChoice";
import { codecEntry, type Codec } from "@/plan/codecs";
import { deviceOf } from "@/plan/content";
import { placesOfNode } from "@/plan/divisions";
import { changeRest, planStore, usePlan } from "@/plan/store";
import { useView, viewStore } from "./view";

type Reach = "tensor" | "pair";

const close = (): void => viewStore.setState({ link: null });

/** `cuts` are those of the plan, and of what runs: the studio settles automatic codecs when it deploys. */
export function LinkDialog({ network, cuts }: { network: Network; cuts: readonly Cut[] }) {
  const link = useView((view) => view.link);
  if (link === null) return null;
  return <LinkForm key={link} network={network} edge={at(network.edges, link)} cuts={cuts} />;
}

function LinkForm({ network, edge, cuts }: { network: Network; edge: NetworkEdge; cuts: readonly Cut[] }) {
  const [from, to] = [at(network.nodes, edge.from), at(network.nodes, edge.to)];
  const content = usePlan((whole) => whole);
  const [makers, takers] = [placesOfNode(content, from), placesOfNode(content, to)];
  const entry = codecEntry(content, makers, takers, edge.tensors[0] ?? "");
  const [maker, taker] = [makers.length === 1 ? makers[0] : undefined, takers.length === 1 ? takers[0] : undefined];
  const one = maker !== undefined && taker !== undefined;
  const [reach, setReach] = useState<Reach>(one && (entry === null || entry.tensors.length === 0) ? "pair" : "tensor");
  const [codec, setCodec] = useState<Codec>(entry?.codec ?? "none");
  const [change, setChange] = useState<number>(content.rest.max_change * 100);
  const [low, setLow] = useState<number>(entry?.low ?? 0);
  const [high, setHigh] = useState<number | null>(entry?.high ?? null);
  const wrong = clips(codec) && high !== null && high <= low;
  const scope: CodecScope = { producer: maker ?? "*", consumer: taker ?? "*", tensors: reach === "pair" ? [] : [...edge.tensors] };
  const apply = () => {
    const { rest } = planStore.getState().content;
    const where = reach === "pair" ? `${maker} → ${taker}` : edge.tensors.join(", ");
    changeRest({ ...withCodec(rest, scope, codec, { low, high }), ...(codec === "auto" ? { max_change: change / 100 } : {}) }, `${where}: ${codec}`);
    close();
  };
  return (
    <Dialog onClose={close} title={`${makers.join(", ")} → ${takers.join(", ")}`} size="lg">
      <form
        data-testid="link-dialog"
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <p className="dialog-text">
          {edge.tensors.join(", ")}: {formatBytes(edge.bytes)} for each frame.
        </p>
        <Told cuts={cuts} makers={makers} takers={takers} tensors={edge.tensors} />
        {one && (
          <SegmentedControl
            className="link-reach"
            size="xs"
            fullWidth
            value={reach}
            onChange={(value) => setReach(value === "pair" ? "pair" : "tensor")}
            data={[
              { value: "pair", label: `Everything from ${maker} to ${taker}` },
              { value: "tensor", label: edge.tensors.length === 1 ? "This tensor only" : "These tensors only" },
            ]}
            aria-label="What travels so"
          />
        )}
        <Radio.Group value={codec} onChange={(value) => setCodec(CODEC_WORDS.find((words) => words.codec === value)?.codec ?? codec)} aria-label="How it travels">
          <div className="codec-list">
            {CODEC_WORDS.map((words) => (
              <Radio
                key={words.codec}
                size="xs"
                value={words.codec}
                label={
                  <>
                    {words.title} {!words.lossless && words.codec !== "auto" && <small className="codec-lossy">changes answers</small>}
                  </>
                }
                description={words.what}
                data-testid={`codec-${words.codec}`}
              />
            ))}
          </div>
        </Radio.Group>
        {clips(codec) && (
          <Group grow align="flex-start">
            <NumberInput size="xs" label="Below this counts as nothing" value={low} onChange={(value) => setLow(Number(value) || 0)} step={0.1} data-testid="clip-low" />
            <NumberInput
              size="xs"
              label="Above this is cut off"
              placeholder="the largest of each frame"
              value={high ?? ""}
              onChange={(value) => setHigh(value === "" ? null : Number(value))}
              error={wrong ? "It must be above the lower bound." : undefined}
              step={0.5}
              data-testid="clip-high"
            />
          </Group>
        )}
        {codec === "auto" && (
          <NumberInput
            size="xs"
            label="Allowed change of the network's answers"
            description="Share of their largest value; 0: only what loses nothing. It counts for every automatic link of this plan."
            value={change}
            onChange={(value) => setChange(Number(value) || 0)}
            min={0}
            max={1000}
            step={0.5}
            suffix=" %"
            data-testid="max-change"
          />
        )}
        <footer className="dialog-foot">
          <Button size="xs" variant="default" onClick={close}>
            Cancel
          </Button>
          <Button size="xs" type="submit" disabled={wrong} data-testid="link-apply">
            Use it
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

/** What the studio knows of the cuts that carry these tensors. */
function Told({ cuts, makers, takers, tensors }: { cuts: readonly Cut[]; makers: readonly string[]; takers: readonly string[]; tensors: readonly string[] }) {
  const rest = usePlan((content) => content.rest);
  const [from, to] = [makers, takers].map((places) => new Set(places.map((place) => deviceOf({ rest }, place)))) as [Set<string>, Set<string>];
  const told = cuts.filter((cut) => (cut.wire_bytes != null || cut.why.length > 0 || cut.way === "studio") && from.has(cut.producer_device) && to.has(cut.consumer_device) && cut.tensors.some((tensor) => tensors.includes(tensor)));
  return (
    <ul className="link-told">
      {told.map((cut) => (
        <li key={`${cut.producer} ${cut.consumer} ${cut.way}`}>
          {cut.way !== "" && `As it runs${cut.way === "studio" ? ", through the studio" : ""}: ${[...new Set(Object.values(cut.codecs))].join(", ") || "as it is"}. `}
          {cut.wire_bytes != null && `${formatBytes(cut.wire_bytes)} on the wire, ${formatPercent(cut.wire_bytes / cut.size_bytes)} of it. `}
          {cut.why.join(" ")}
        </li>
      ))}
    </ul>
  );
}
