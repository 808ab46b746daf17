/** An example: added, or opened, by one press. */
import { Button } from "@mantine/core";
import { IconArrowRight, IconCpu2, IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { asProblem, type Problem } from "@/api/client";
import type { Example } from "@/api/types";
import { formatBytes } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { editorPath, navigate, onwards } from "@/app/router";
import { addExample } from "./doings";

export function ExampleCard({ example }: { example: Example }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const added = example.model_id !== null;
  const add = () => {
    if (example.model_id !== null) {
      navigate(editorPath(example.model_id));
      return;
    }
    setBusy(true);
    setProblem(null);
    const goOn = onwards();
    addExample(example.id).then(
      (model) => goOn(editorPath(model.id)),
      (error: unknown) => {
        setProblem(asProblem(error));
        setBusy(false);
      },
    );
  };
  return (
    <li className="example-card">
      <div>
        <h3>{example.title}</h3>
        <p>{example.description}</p>
        <p className="example-facts">
          <IconCpu2 size={13} aria-hidden /> {formatBytes(example.size_bytes)} · {example.trained ? "trained" : "random weights"}
        </p>
        {problem && <ProblemCard problem={problem} />}
      </div>
      <Button size="xs" variant={added ? "default" : "light"} loading={busy} rightSection={added ? <IconArrowRight size={13} /> : <IconPlus size={13} />} onClick={add} data-testid={`example-${example.id}`} aria-label={`${added ? "Open" : "Add"} ${example.title}`}>
        {added ? "Open" : "Add"}
      </Button>
    </li>
  );
}
