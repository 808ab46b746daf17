/** Going from difference to difference, and taking over what the other plan says there. */
import { flash, selectNamed, viewStore } from "@/editor/view";
import { cameraMan } from "@/editor/camera";
import { formatWhole, plural } from "@/app/format";
import { at, type Network } from "@/graph/network";
import { takeFrom, type Difference } from "@/plan/differences";
import { edit, planStore } from "@/plan/store";
import { comparingStore, goneTo } from "./comparing";

const devicesWords = (devices: readonly string[]): string => (devices.length === 0 ? "no device" : devices.join(", "));

/** "board-1 here, board-3 there". */
export const whereWords = ({ mine, other }: Difference, name: string): string => {
  const [here, there] = [devicesWords(mine), devicesWords(other)];
  return here === there ? `${here}, divided otherwise in ${name}` : `${here} here, ${there} in ${name}`;
};

export const layersWords = ({ layers }: Difference): string => (layers.length === 1 ? (layers[0] ?? "") : plural(layers.length, "layer"));

/** The place to which a step leads from `from`; round and round. */
export const stepFrom = (from: number | null, by: 1 | -1, count: number): number => (from === null || from >= count ? (by === 1 ? 0 : count - 1) : (from + by + count) % count);

export function walkDifferences(network: Network, found: readonly Difference[], by: 1 | -1): void {
  const { at: from, other } = comparingStore.getState();
  if (found.length === 0 || other === null) return;
  const place = stepFrom(from, by, found.length);
  const difference = at(found, place);
  goneTo(place);
  selectNamed(network, difference.layers);
  const first = network.layerIndex.get(difference.layers[0] ?? "");
  if (first !== undefined) cameraMan.reveal(first);
  viewStore.setState({ announcement: `Difference ${formatWhole(place + 1)} of ${formatWhole(found.length)}: ${layersWords(difference)}, ${whereWords(difference, other.name)}` });
}

/** One step that puts layers where the other plan has them. */
export function takeOther(layers: readonly string[]): void {
  const { other } = comparingStore.getState();
  if (other === null) return;
  const { layers: moved } = edit(takeFrom(planStore.getState().content, other.content, layers, `${plural(layers.length, "layer")} as in ${other.name}`));
  flash("", moved === 0 ? `already as in ${other.name}` : `${plural(moved, "layer")} as in ${other.name}`);
}
