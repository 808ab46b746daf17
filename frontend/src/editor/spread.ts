/** A first placement: the studio spreads the layers over the devices, and the plan's settings stay as they are. */
import { call, client } from "@/api/client";
import type { Model } from "@/api/types";
import { plural } from "@/app/format";
import { contentOf } from "@/plan/content";
import { planStore, replacePlan } from "@/plan/store";
import { openPlanStays } from "@/plan/sync";
import { flash } from "./view";

/** Throws a Problem. */
export async function spreadEvenly(model: Pick<Model, "id">, devices: readonly string[]): Promise<void> {
  const isOpen = openPlanStays();
  const plan = await call(client.POST("/api/models/{model_id}/plans/spread", { params: { path: { model_id: model.id } }, body: { devices: [...devices] } }));
  if (!isOpen()) return;
  // Settings may have been changed while the studio was asked.
  const { rest } = planStore.getState().content;
  const { layers } = replacePlan({ ...contentOf(plan), rest }, "Spread evenly");
  flash("", layers === 0 ? "already spread evenly" : `spread over ${plural(devices.length, "device")}`);
}
