/** The hand at a device's card: its brush, why it cannot take what is held over it, and that it limits the plan. */
import { ActionIcon } from "@mantine/core";
import { IconBan, IconBrush, IconHourglassHigh } from "@tabler/icons-react";
import { blameOf, blamesDevice } from "@/planner/blame";
import { handStore, takeBrush, useHand } from "./hand";
import { useOutcomePart } from "./outcome";
import { useView } from "./view";

export function BrushButton({ device }: { device: string }) {
  const on = useHand(({ brush }) => brush === device);
  return (
    <ActionIcon
      variant={on ? "filled" : "subtle"}
      color={on ? undefined : "gray"}
      size="sm"
      aria-label={`Paint with ${device}`}
      aria-pressed={on}
      title={on ? "Leave the brush (Esc)" : `Paint layers with ${device} (B, then its number)`}
      onClick={() => takeBrush(handStore.getState().brush === device ? null : device)}
      data-testid={`brush-button-${device}`}
    >
      <IconBrush size={14} />
    </ActionIcon>
  );
}

/** Why what is held over a device cannot be put there, or why the last try was refused. */
export function DropVerdict({ device }: { device: string }) {
  const held = useView((view) => view.dropTarget === device);
  const tried = useHand(({ trial }) => (trial?.places.includes(device) === true ? trial.verdict.refused : null));
  const flashed = useView(({ flash }) => (flash?.refused === true && flash.device === device ? flash.text : null));
  const refused = (held ? tried : null) ?? flashed;
  if (refused === null) return null;
  return (
    <p className="drop-refused" data-testid={`drop-refused-${device}`}>
      <IconBan size={14} aria-hidden /> {refused}
    </p>
  );
}

/** That a device, or what it sends or receives, limits the plan. */
export function BottleneckTag({ device }: { device: string }) {
  const kind = useOutcomePart((outcome) => {
    const bottleneck = outcome && !outcome.isTrial ? outcome.now.bottleneck : null;
    const blame = bottleneck && blameOf(bottleneck);
    if (!blame) return null;
    if (blame.kind === "link") return blame.source === device || blame.target === device ? "link" : null;
    return blamesDevice(blame, [device]) || (blame.kind === "interface" && blame.device === device) ? "device" : null;
  });
  if (kind === null) return null;
  const told = kind === "link" ? "The link of this device limits the plan" : "This device limits the plan";
  return (
    <span className="bottleneck-tag" title={told} data-testid={`bottleneck-${device}`}>
      <IconHourglassHigh size={12} aria-hidden /> {kind === "link" ? "slowest link" : "bottleneck"}
    </span>
  );
}
