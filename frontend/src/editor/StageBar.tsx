/** Over the layers: graph or table, where the cursor is, and which plan places them. */
import { IconSchema, IconTable } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { Network } from "@/graph/network";
import type { Scene } from "./context";
import { showAs } from "./showing";
import { Trail } from "./Trail";
import { useView } from "./view";

const MODES = [
  { value: "graph", label: "Graph", Icon: IconSchema },
  { value: "table", label: "Table", Icon: IconTable },
] as const;

export function StageBar({ name, network, scene, children }: { name: string; network: Network; scene: Scene | null; children: ReactNode }) {
  const mode = useView((view) => view.mode);
  return (
    <div className="stage-bar">
      <div className="modes" role="radiogroup" aria-label="Show the layers as (T)">
        {MODES.map(({ value, label, Icon }) => (
          <label key={value} className="mode">
            <input type="radio" name="mode" className="visually-hidden" value={value} checked={mode === value} onChange={() => showAs(value)} />
            <span className="mode-label" data-testid={`mode-${value}`}>
              <Icon size={14} aria-hidden /> {label}
            </span>
          </label>
        ))}
      </div>
      {scene?.network === network && <Trail name={name} scene={scene} />}
      <span className="stage-plan">{children}</span>
    </div>
  );
}
