/** What each layer costs on each profiled device: the bars' seconds and joules. */
import { useQueries, useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { profileQuery, profilesQuery } from "@/api/queries";
import type { Profile, ProfileSummary } from "@/api/types";
import { layerRows } from "./table";

export interface LayerCost {
  /** As the runtime fuses it. */
  seconds: number;
  /** Null without a sensor or meter. */
  joules: number | null;
}

/** By device, then by layer. */
export type Costs = ReadonlyMap<string, ReadonlyMap<string, LayerCost>>;

/** The layers of a profile; a kernel's time is shared out by what its layers take alone. */
export function costsOfProfile(profile: Pick<Profile, "layers" | "kernels">): ReadonlyMap<string, LayerCost> {
  const rows = layerRows(profile);
  const alone = new Map(rows.map(({ layer, aloneS }) => [layer, aloneS]));
  return new Map(
    rows.map(({ layer, aloneS, energyJ, fused }) => {
      const together = fused === null ? 0 : fused.layers.reduce((sum, other) => sum + (alone.get(other) ?? 0), 0);
      const seconds = fused === null ? 0 : together > 0 ? (fused.seconds * aloneS) / together : fused.seconds / fused.layers.length;
      return [layer, { seconds, joules: energyJ }];
    }),
  );
}

/** The newest profile of a model on each device. */
export function newestOf<P extends Pick<ProfileSummary, "device" | "model_id" | "measured_at">>(profiles: readonly P[], model: string): P[] {
  const newest = new Map<string, P>();
  for (const profile of profiles) {
    if (profile.model_id !== model) continue;
    const known = newest.get(profile.device);
    if (!known || Date.parse(profile.measured_at) > Date.parse(known.measured_at)) newest.set(profile.device, profile);
  }
  return [...newest.values()];
}

const NONE: Costs = new Map();
export const costsStore = createStore<{ costs: Costs }>()(() => ({ costs: NONE }));
export const useCosts = (): Costs => useStore(costsStore, ({ costs }) => costs);

/** Kept outside, so that the same profiles are the same list. */
const together = (results: readonly { data?: Profile | undefined }[]): Profile[] => results.flatMap(({ data }) => data ?? []);

/** Fetch a model's profiles for as long as they are wanted. Returns whether there are any. */
export function useProfileCosts(model: string, wanted: boolean): boolean {
  const { data } = useQuery(profilesQuery);
  const newest = newestOf(data ?? [], model);
  const profiles = useQueries({
    queries: wanted ? newest.map(({ id }) => profileQuery(id)) : [],
    combine: together,
  });
  useEffect(() => {
    costsStore.setState({ costs: new Map(profiles.map((profile) => [profile.device, costsOfProfile(profile)])) });
  }, [profiles]);
  return newest.length > 0;
}
