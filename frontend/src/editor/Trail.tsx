/** Where the cursor is: network, stage, block, layer. Each can be pressed, and leads to what stands beside it. */
import { Menu } from "@mantine/core";
import { IconChevronDown, IconChevronRight, IconStack2 } from "@tabler/icons-react";
import { at } from "@/graph/network";
import { trailOf, type Place } from "@/graph/trail";
import { cameraMan } from "./camera";
import type { Scene } from "./context";
import { goTo, isOpen, kindOf, titleOf } from "./goTo";
import { TrailItems } from "./parts";
import { shorten } from "./shorten";
import { focusLayers } from "./showing";
import { select, useView } from "./view";

export function Trail({ name, scene }: { name: string; scene: Scene }) {
  const { network, tree, layout } = scene;
  const table = useView(({ mode }) => mode === "table");
  const cursor = useView((view) => view.cursor ?? [...view.selection][0] ?? null);
  const node = cursor !== null && cursor < network.nodes.length && at(network.nodes, cursor).kind === "layer" ? cursor : null;
  const shownFold = node === null || table ? -1 : at(layout.items, at(layout.itemOf, node)).fold;
  const trail = node === null ? [] : trailOf(tree, node, shownFold);
  const whole = () => {
    select([]);
    cameraMan.fit();
    focusLayers();
  };
  return (
    <nav className="trail" aria-label="Where the cursor is" data-testid="trail">
      <ol>
        <li>
          <button type="button" className="trail-crumb" onClick={whole} title="The whole network" aria-current={trail.length === 0 ? "true" : undefined}>
            <span>{name}</span>
          </button>
          <Beside scene={scene} holder={-1} current={trail[0] ?? null} />
        </li>
        {trail.map((place, i) => (
          <Crumb key={`${place.kind} ${titleOf(scene, place)}`} scene={scene} place={place} next={trail[i + 1] ?? null} />
        ))}
      </ol>
    </nav>
  );
}

function Crumb({ scene, place, next }: { scene: Scene; place: Place; next: Place | null }) {
  const title = titleOf(scene, place);
  const fold = place.kind === "fold" ? place.fold : null;
  const open = fold !== null && isOpen(scene, fold);
  const go = () => {
    goTo(scene, place);
    focusLayers();
  };
  return (
    <li>
      <button type="button" className="trail-crumb" onClick={go} aria-current={next === null ? "true" : undefined} title={`${kindOf(scene, place)} ${title}${fold === null ? "" : open ? ", open" : ", folded"}`}>
        {fold !== null && <IconStack2 size={12} className={open ? "is-open" : undefined} aria-hidden />}
        <span>{shorten(title, 26)}</span>
      </button>
      {fold !== null && <Beside scene={scene} holder={fold} current={next} />}
    </li>
  );
}

/** The mark after a crumb: what is inside it, to go to; and folding it. */
function Beside({ scene, holder, current }: { scene: Scene; holder: number; current: Place | null }) {
  const title = holder < 0 ? "the network" : at(scene.tree.folds, holder).name;
  // After the last crumb nothing follows: there it is a menu, and no step of a way.
  const Icon = current === null ? IconChevronDown : IconChevronRight;
  return (
    <Menu position="bottom-start" withinPortal>
      <Menu.Target>
        <button type="button" className="trail-beside" aria-label={`What is in ${title}`} title={`What is in ${title}`}>
          <Icon size={13} aria-hidden />
        </button>
      </Menu.Target>
      <Menu.Dropdown className="trail-menu">
        <TrailItems scene={scene} holder={holder} current={current} />
      </Menu.Dropdown>
    </Menu>
  );
}
