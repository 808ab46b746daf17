/** Shown when another window saved the plan that is edited here. */
import { Button } from "@mantine/core";

export function ConflictCard({ reload, overwrite }: { reload: () => void; overwrite: () => void }) {
  return (
    <div className="conflict" role="alertdialog" aria-label="The plan was saved elsewhere" data-testid="conflict">
      <h3>This plan was saved in another window</h3>
      <p>Your edits are kept here, and are not saved.</p>
      <div>
        <Button size="xs" variant="default" onClick={reload}>
          Take the other one
        </Button>
        <Button size="xs" onClick={overwrite}>
          Keep mine
        </Button>
      </div>
    </div>
  );
}
