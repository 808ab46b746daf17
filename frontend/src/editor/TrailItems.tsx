/** What is inside a block or the network, to go to; and folding the block. */
import { Menu } from "@mantine/core";
import { IconFold, IconFoldDown, IconStack2 } from "@tabler/icons-react";
import { formatWhole, plural } from "@/app/format";
import { at } from "@/graph/network";
import { around, insideOf, samePlace, type Place } from "@/graph/trail";
import { setOpen } from "./atCursor";
import type { Scene } from "./context";
import { goTo, isOpen, kindOf, titleOf } from "./goTo";
import { shorten } from "./shorten";
import { useView } from "./view";

const MOST_LISTED = 120;

export function TrailItems({ scene, holder, current }: { scene: Scene; holder: number; current: Place | null }) {
  const places = insideOf(scene.network, scene.tree, holder);
  const middle = current === null ? 0 : places.findIndex((place) => samePlace(place, current));
  const listed = around(places, middle, MOST_LISTED);
  const open = holder >= 0 && isOpen(scene, holder);
  const table = useView(({ mode }) => mode === "table");
  return (
    <>
      {holder >= 0 && !table && (
        <>
          <Menu.Item leftSection={open ? <IconFold size={14} /> : <IconFoldDown size={14} />} onClick={() => setOpen(scene, holder, !open)}>
            {open ? "Fold" : "Open"} {at(scene.tree.folds, holder).name}
          </Menu.Item>
          <Menu.Divider />
        </>
      )}
      {listed.map((place) => (
        <Menu.Item
          key={`${place.kind} ${titleOf(scene, place)}`}
          className={current !== null && samePlace(place, current) ? "is-current" : undefined}
          leftSection={place.kind === "fold" ? <IconStack2 size={13} aria-hidden /> : <span className="trail-dot" aria-hidden />}
          rightSection={<span className="trail-kind">{place.kind === "fold" ? plural(at(scene.tree.folds, place.fold).nodes.length, "layer") : kindOf(scene, place)}</span>}
          onClick={() => goTo(scene, place)}
        >
          {shorten(titleOf(scene, place), 34)}
        </Menu.Item>
      ))}
      {listed.length < places.length && <Menu.Label>{formatWhole(places.length - listed.length)} more: search for them</Menu.Label>}
    </>
  );
}
