/** Small plans for tests. */
import type { Sharding } from "@/api/types";
import { EMPTY_REST, type Content, type Placement } from "./content";

export const content = (placement: Placement, shards: readonly Sharding[] = [], name = ""): Content => ({ placement, shards, rest: { ...EMPTY_REST, name } });

export const byRows = (layers: string[], devices: string[], rows = devices.map(() => 1)): Sharding => ({
  strategy: "spatial", layers, devices, unit: "share", rows, columns: [1], exchange_before: [],
});

export const byFilters = (layers: string[], devices: string[], shares: number[] = []): Sharding => ({ strategy: "output_channels", layers, devices, unit: "share", shares });
