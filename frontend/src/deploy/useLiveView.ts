/** Turns the editor into the live view: what stands on the devices is drawn above the network, and predicted for itself. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { call, client } from "@/api/client";
import { queryClient } from "@/api/queries";
import type { Deployment, Model } from "@/api/types";
import { viewStore } from "@/editor/view";
import { usePipelineFeed } from "@/live/pipelineStore";
import { onMeasured } from "@/live/socket";
import { contentOf, sameForm } from "@/plan/content";
import type { Prediction } from "@/planner/types";

const NOBODY: ReadonlySet<string> = new Set();

/** `shown`: the deployment whose steps are looked at; where a device of it failed, the network shows where. */
export function useLiveView(model: Model, running: Deployment | null, shown: Deployment | null): Prediction | null {
  const stands = running?.state === "running" && sameForm(running.plan.network, model) ? running : null;
  const failed = shown?.devices.filter(({ step }) => step === "failed").map(({ device }) => device).join("\n") ?? "";
  const broken = failed !== "" && shown && sameForm(shown.plan.network, model) ? shown : null;
  const drawn = broken ?? stands;
  // A deployment is told anew with every step; its plan stays what it is.
  const key = drawn ? `${drawn.id} ${drawn.stages.length}` : null;
  const live = useMemo(
    () => drawn && { content: contentOf(drawn.plan), stages: drawn.stages, lost: broken ? new Set(failed.split("\n")) : NOBODY },
    // eslint-disable-next-line react-hooks/exhaustive-deps -- as said above
    [key, failed],
  );
  useEffect(() => {
    viewStore.setState({ live });
  }, [live]);
  useEffect(() => () => viewStore.setState({ live: null }), []);
  const deployed = stands?.plan ?? null;
  const deployedKey = stands?.id ?? null;
  useEffect(() => {
    viewStore.setState({ deployed });
    // eslint-disable-next-line react-hooks/exhaustive-deps -- as said above
  }, [deployedKey]);
  const predicted = useQuery({
    queryKey: ["deployed-prediction", deployedKey],
    enabled: deployed !== null,
    staleTime: Infinity,
    retry: false,
    queryFn: () => (deployed === null ? null : call(client.POST("/api/models/{model_id}/predictions", { params: { path: { model_id: model.id } }, body: { plan: deployed, gantt: 0, next_move: false } }))),
  });
  useEffect(() => onMeasured(() => void queryClient.invalidateQueries({ queryKey: ["deployed-prediction"] })), []);
  const prediction = predicted.data?.prediction ?? null;
  usePipelineFeed(stands, prediction);
  return prediction;
}
