/** Asked before something is removed for good; where that fails, the reason stands here, and it can be tried again. */
import { Button, Group } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { asProblem, type Problem } from "@/api/client";
import { Dialog } from "./Dialog";
import { ProblemCard } from "./ProblemCard";

interface RemovalDialogProps {
  title: ReactNode;
  /** What is lost, and what stays. */
  loss: string;
  verb?: "Remove" | "Delete";
  /** Closes the dialog, too, where it succeeds. */
  remove: () => Promise<void>;
  close: () => void;
}

export function RemovalDialog({ title, loss, verb = "Remove", remove, close }: RemovalDialogProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const confirm = () => {
    setBusy(true);
    remove().catch((error: unknown) => {
      setProblem(asProblem(error));
      setBusy(false);
    });
  };
  return (
    <Dialog onClose={close} title={title} size="sm">
      <p className="dialog-text">{loss}</p>
      {problem && <ProblemCard problem={problem} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={close} data-autofocus>
          Keep
        </Button>
        <Button color="red" loading={busy} onClick={confirm} data-testid={`confirm-${verb.toLowerCase()}`}>
          {verb}
        </Button>
      </Group>
    </Dialog>
  );
}
