/** Notes on the open plan. They are part of it, are saved with it, and undone like it. */
import { Textarea } from "@mantine/core";
import { useEffect, useRef } from "react";
import { usePlan, writeNotes } from "@/plan/store";
import { useSync } from "@/plan/sync";

/** As the plan document allows. */
const MOST = 20_000;

export function Notes({ enter }: { enter: boolean }) {
  const notes = usePlan(({ rest }) => rest.notes);
  const name = useSync(({ plan }) => plan?.name ?? "this plan");
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (enter) field.current?.focus();
  }, [enter]);
  return (
    <Textarea
      ref={field}
      className="plans-notes"
      size="xs"
      label={`Notes on ${name}`}
      placeholder="What it is for, what was tried, what was found out"
      value={notes}
      onChange={(event) => writeNotes(event.currentTarget.value)}
      maxLength={MOST}
      autosize
      minRows={2}
      maxRows={6}
      data-testid="plan-notes"
    />
  );
}
