/** The page of one network: its graph, the devices, the plan between them, and what runs. */
import { Button, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { asProblem } from "@/api/client";
import { devicesQuery, modelQuery } from "@/api/queries";
import { Header } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { navigate } from "@/app/router";
import { EditorBody } from "./EditorBody";

export default function Editor({ modelId }: { modelId: string }) {
  const model = useQuery(modelQuery(modelId));
  const devices = useQuery(devicesQuery);
  const error = model.error ?? devices.error;
  if (model.data && devices.data) return <EditorBody key={`${model.data.id} ${model.data.simplified}`} model={model.data} devices={devices.data} />;
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
