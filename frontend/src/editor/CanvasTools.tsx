/** What the bars show, what is folded, and the zoom. */
import { ActionIcon } from "@mantine/core";
import { IconBrush, IconFocusCentered, IconFold, IconFoldDown, IconMap, IconMarquee2, IconMinus, IconPlus, IconTemperature } from "@tabler/icons-react";
import { useCommands, type Command } from "@/app/commands";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { setAll } from "./folding";
import { chooseBrush, setTool, takeBrush, useHand } from "./hand";
import { MeasureMenu } from "./MeasureMenu";
import { useView, viewStore } from "./view";

const COMMANDS: readonly Command[] = [
  { id: "look.heat", group: "Look", title: "Heat map on or off", words: "colour outliers hottest largest", run: () => viewStore.setState(({ heat }) => ({ heat: !heat })) },
];

export function CanvasTools({ scene, hasProfile }: { scene: Scene | null; hasProfile: boolean }) {
  return (
    <div className="canvas-tools" role="toolbar" aria-label="View">
      <MeasureMenu hasProfile={hasProfile} />
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

/** The tools of the hand, zoom, fit, the small map and the heat map, at the right edge. */
export function ZoomTools() {
  const minimap = useView((view) => view.minimap);
  const heat = useView((view) => view.heat);
  useCommands(COMMANDS);
  return (
    <div className="canvas-zoom" role="toolbar" aria-label="Tools" aria-orientation="vertical">
      <ActionIcon.Group orientation="vertical">
        <BoxTool />
        <BrushTool />
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
        <ActionIcon variant="default" size={30} aria-label="Heat map" aria-pressed={heat} title="Colour the cards by the measure: heat map" className={heat ? "is-on" : undefined} onClick={() => viewStore.setState({ heat: !heat })} data-testid="heat">
          <IconTemperature size={15} />
        </ActionIcon>
      </ActionIcon.Group>
    </div>
  );
}

/** For whom Shift is not at hand: each drag draws a selection box, a press adds or takes away. */
function BoxTool() {
  const on = useHand(({ tool, brush }) => tool === "box" && brush === null);
  return (
    <ActionIcon
      variant="default"
      size={30}
      aria-label="Select by drawing a box"
      title="Select by drawing a box (or Shift and drag)"
      aria-pressed={on}
      className={on ? "is-on" : undefined}
      onClick={() => setTool(on ? "pointer" : "box")}
      data-testid="box-tool"
    >
      <IconMarquee2 size={16} />
    </ActionIcon>
  );
}

/** The brush for whom the devices stand folded, or have no room: which one it paints is asked over the canvas. */
function BrushTool() {
  const on = useHand(({ brush, choosing }) => brush !== null || choosing);
  return (
    <ActionIcon variant="default" size={30} aria-label="Paint with a device" title={on ? "Leave the brush (Esc)" : "Paint layers with a device (B)"} aria-pressed={on} className={on ? "is-on" : undefined} onClick={() => (on ? takeBrush(null) : chooseBrush())} data-testid="brush-tool">
      <IconBrush size={16} />
    </ActionIcon>
  );
}
