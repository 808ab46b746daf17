/** The page of one network: its graph, the devices, the plan between them, and what runs. */
import { Button, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useLayoutEffect } from "react";
import { asProblem } from "@/api/client";
import { devicesQuery, modelQuery } from "@/api/queries";
import { Header } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { navigate } from "@/app/router";
import { layoutWorker } from "@/graph/layoutWorker";
import { EditorBody } from "./EditorBody";
import { resetView, useView } from "./view";

layoutWorker();

export default function Editor({ modelId, planId }: { modelId: string; planId: number | null }) {
  const model = useQuery(modelQuery(modelId));
  const devices = useQuery(devicesQuery);
  const error = model.error ?? devices.error;
  const network = model.data ? `${model.data.id} ${model.data.simplified}` : null;
  const seen = useView((view) => view.network);
  // Before anything of it is drawn: what was selected in another are numbers of other layers.
  useLayoutEffect(() => resetView(network), [network]);
  if (model.data && devices.data && seen === network) return <EditorBody key={network} model={model.data} planId={planId} devices={devices.data} />;
  return (
    <>
      <Header />
      <main className="center">
        {error ? (
          <ProblemCard problem={asProblem(error)}>
            <Button size="xs" onClick={() => navigate("/models")}>
              All models
            </Button>
            <Button size="xs" variant="default" onClick={() => void Promise.all([model.refetch(), devices.refetch()])}>
              Try again
            </Button>
          </ProblemCard>
        ) : (
          <p className="loading">
            <Loader size="sm" /> Opening the network…
          </p>
        )}
      </main>
    </>
  );
}
