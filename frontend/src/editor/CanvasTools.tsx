/** What the bars show, what is folded, and the zoom. */
import { ActionIcon, Select } from "@mantine/core";
import { IconFocusCentered, IconFold, IconFoldDown, IconMap, IconMinus, IconPlus } from "@tabler/icons-react";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { setAll } from "./folding";
import { needsProfile } from "./measure";
import { MEASURE_LABELS, MEASURES, useView, viewStore } from "./view";

export function CanvasTools({ scene, hasProfile }: { scene: Scene | null; hasProfile: boolean }) {
  const measure = useView((view) => view.measure);
  return (
    <div className="canvas-tools" role="toolbar" aria-label="View">
      <Select
        size="xs"
        w={138}
        aria-label="Bars show"
        value={measure}
        onChange={(value) => viewStore.setState({ measure: MEASURES.find((known) => known === value) ?? measure })}
        data={MEASURES.map((value) => (needsProfile(value) && !hasProfile ? { value, label: `${MEASURE_LABELS[value]} (profile a device first)`, disabled: true } : { value, label: MEASURE_LABELS[value] }))}
        comboboxProps={{ width: 290, position: "top-start" }}
        allowDeselect={false}
        data-testid="measure"
      />
      {scene && scene.tree.folds.length > 0 && (
        <ActionIcon.Group>
          <ActionIcon variant="default" size={30} aria-label="Fold all blocks" title="Fold all blocks ([)" onClick={() => setAll(scene, "folded")} data-testid="fold-all">
            <IconFold size={16} />
          </ActionIcon>
          <ActionIcon variant="default" size={30} aria-label="Open all blocks" title="Open all blocks (])" onClick={() => setAll(scene, "open")} data-testid="open-all">
            <IconFoldDown size={16} />
          </ActionIcon>
        </ActionIcon.Group>
      )}
    </div>
  );
}

/** Zoom, fit and the small map, at the right edge. */
export function ZoomTools() {
  const minimap = useView((view) => view.minimap);
  return (
    <div className="canvas-zoom" role="toolbar" aria-label="Zoom" aria-orientation="vertical">
      <ActionIcon.Group orientation="vertical">
        <ActionIcon variant="default" size={30} aria-label="Zoom in" onClick={() => cameraMan.zoomBy(1.25)}>
          <IconPlus size={15} />
        </ActionIcon>
        <ActionIcon variant="default" size={30} aria-label="Fit the network" title="Fit (F)" onClick={cameraMan.fit} data-testid="fit">
          <IconFocusCentered size={16} />
        </ActionIcon>
        <ActionIcon variant="default" size={30} aria-label="Zoom out" onClick={() => cameraMan.zoomBy(0.8)}>
          <IconMinus size={15} />
        </ActionIcon>
        <ActionIcon
          variant="default"
          size={30}
          aria-label="Small map"
          title="Small map, while not all is in view"
          aria-pressed={minimap}
          onClick={() => viewStore.setState({ minimap: !minimap })}
          className={minimap ? "is-on" : undefined}
          data-testid="minimap-switch"
        >
          <IconMap size={15} />
        </ActionIcon>
      </ActionIcon.Group>
    </div>
  );
}
