/** What the bars show, and the zoom. */
import { ActionIcon, Select } from "@mantine/core";
import { IconFocusCentered, IconMinus, IconPlus } from "@tabler/icons-react";
import { cameraMan } from "./camera";
import { MEASURE_LABELS, MEASURES, useView, viewStore } from "./view";

export function CanvasTools() {
  const measure = useView((view) => view.measure);
  return (
    <div className="canvas-tools" role="toolbar" aria-label="View">
      <Select
        size="xs"
        w={150}
        aria-label="Bars show"
        value={measure}
        onChange={(value) => viewStore.setState({ measure: MEASURES.find((known) => known === value) ?? measure })}
        data={MEASURES.map((value) => ({ value, label: MEASURE_LABELS[value] }))}
        allowDeselect={false}
        data-testid="measure"
      />
      <ActionIcon.Group>
        <ActionIcon variant="default" size={30} aria-label="Zoom out" onClick={() => cameraMan.zoomBy(0.8)}>
          <IconMinus size={15} />
        </ActionIcon>
        <ActionIcon variant="default" size={30} aria-label="Fit the network" title="Fit (F)" onClick={cameraMan.fit} data-testid="fit">
          <IconFocusCentered size={16} />
        </ActionIcon>
        <ActionIcon variant="default" size={30} aria-label="Zoom in" onClick={() => cameraMan.zoomBy(1.25)}>
          <IconPlus size={15} />
        </ActionIcon>
      </ActionIcon.Group>
    </div>
  );
}
