/** The networks that the studio holds; drop a file, or take an example. An empty studio begins with its first steps. */
import { Button, Loader } from "@mantine/core";
import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { asProblem } from "@/api/client";
import { examplesQuery, modelsQuery } from "@/api/queries";
import type { ModelSummary } from "@/api/types";
import { plural } from "@/app/format";
import { Header } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { editorPath, navigate } from "@/app/router";
import { FirstSteps } from "@/first/FirstSteps";
import { useFirstSteps } from "@/first/useFirstSteps";
import "@/styles/devices.css";
import "@/styles/models.css";
import { ExampleCard } from "./ExampleCard";
import { ModelCard } from "./ModelCard";
import { RemoveModel, RenameModel } from "./ModelDialogs";
import { UploadArea } from "./UploadArea";
import { useFileDrop } from "./useFileDrop";
import { useUpload } from "./useUpload";

interface Doing {
  what: "rename" | "remove";
  model: ModelSummary;
}

export function ModelsPage() {
  const models = useQuery(modelsQuery);
  const examples = useQuery(examplesQuery);
  const first = useFirstSteps();
  // While the first steps are shown, the next of them is here and not in the editor.
  const stays = useRef(false);
  useEffect(() => {
    stays.current = first.shown;
  });
  const added = useCallback((model: ModelSummary) => {
    if (!stays.current) navigate(editorPath(model.id));
  }, []);
  const upload = useUpload(added);
  const over = useFileDrop(upload.send);
  const [doing, setDoing] = useState<Doing | null>(null);
  const close = () => setDoing(null);
  return (
    <>
      <Header />
      <main className="page models-page">
        {first.shown && <FirstSteps steps={first} upload={upload} />}
        <section aria-labelledby="models-title">
          <div className="page-head">
            <h1 id="models-title">Models</h1>
            <p>{models.data && models.data.length > 0 ? plural(models.data.length, "network") : ""}</p>
          </div>
          <UploadArea upload={upload} over={over} />
          <Waiting query={models} />
          {models.data && models.data.length > 0 && (
            <ul className="model-list">
              {models.data.map((model) => (
                <ModelCard key={model.id} model={model} rename={() => setDoing({ what: "rename", model })} remove={() => setDoing({ what: "remove", model })} />
              ))}
            </ul>
          )}
        </section>
        <section aria-labelledby="examples-title">
          <div className="page-head">
            <h2 id="examples-title">Examples</h2>
            <p>Made here on request, no download</p>
          </div>
          <Waiting query={examples} />
          <ul className="example-list">
            {examples.data?.map((example) => (
              <ExampleCard key={example.id} example={example} />
            ))}
          </ul>
        </section>
      </main>
      {doing?.what === "remove" && <RemoveModel model={doing.model} close={close} />}
      {doing?.what === "rename" && <RenameModel model={doing.model} close={close} />}
    </>
  );
}

function Waiting({ query }: { query: UseQueryResult }) {
  if (query.error) {
    return (
      <ProblemCard problem={asProblem(query.error)}>
        <Button size="xs" variant="default" onClick={() => void query.refetch()}>
          Try again
        </Button>
      </ProblemCard>
    );
  }
  return query.isPending ? <Loader size="sm" /> : null;
}
