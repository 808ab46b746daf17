/** The frame of all details: what it is of, and a way to close it. */
import { ActionIcon } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { formatBytes, formatCount, formatMacs } from "@/app/format";
import { cameraMan } from "@/editor/camera";
import { select, viewStore } from "@/editor/view";
import type { Sums } from "./sums";

export function Panel({ label, title, name, children }: { label: string; title: string; name: string; children: ReactNode }) {
  return (
    <aside className="details" aria-label={label} data-testid="details">
      <header>
        <div>
          <h2>{title}</h2>
          <p className="details-name">{name}</p>
        </div>
        <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Close" onClick={() => viewStore.setState({ detailsOpen: false })}>
          <IconX size={15} />
        </ActionIcon>
      </header>
      {children}
    </aside>
  );
}

export function SumPairs({ sums }: { sums: Sums }) {
  return (
    <>
      <dt>Work</dt>
      <dd>{formatMacs(sums.macs)}</dd>
      <dt>Parameters</dt>
      <dd>{formatCount(sums.parameters)}</dd>
      <dt>Weights</dt>
      <dd>{formatBytes(sums.weightBytes)}</dd>
      <dt>Activations</dt>
      <dd>{formatBytes(sums.activationBytes)}</dd>
    </>
  );
}

export function jump(node: number): void {
  select([node]);
  cameraMan.show(node);
}
