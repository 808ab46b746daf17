/** Asked before a device is removed. */
import { Button, Group } from "@mantine/core";
import { useState } from "react";
import { asProblem, call, client } from "@/api/client";
import { forgetDevice } from "@/api/queries";
import { Dialog } from "@/app/Dialog";
import { mention } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";

export function RemoveDialog({ name, close }: { name: string; close: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const remove = () => {
    setBusy(true);
    call(client.DELETE("/api/devices/{name}", { params: { path: { name } } })).then(
      ({ uninstalled, note }) => {
        forgetDevice(name);
        close();
        if (!uninstalled && note !== "") mention(`${name} is forgotten, but not cleaned`, note);
      },
      (reason: unknown) => {
        setError(reason);
        setBusy(false);
      },
    );
  };
  return (
    <Dialog onClose={close} title={`Remove ${name}?`} size="sm">
      <p className="dialog-text">Its agent ends, what was installed there is deleted, and the studio forgets it. Layers placed on it keep their place in the plan until you move them.</p>
      {error !== null && <ProblemCard problem={asProblem(error)} />}
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={close}>
          Keep
        </Button>
        <Button color="red" loading={busy} onClick={remove} data-testid="confirm-remove">
          Remove
        </Button>
      </Group>
    </Dialog>
  );
}
