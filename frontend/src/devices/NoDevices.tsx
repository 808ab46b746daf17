/** A studio without devices: what a device needs, and the two ways to have some. */
import { Button, Group } from "@mantine/core";
import { IconDeviceDesktop, IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import { asProblem, type Problem } from "@/api/client";
import { ProblemCard } from "@/app/ProblemCard";
import { ENOUGH_DEVICES } from "@/first/steps";
import { addLocalDevices } from "./addLocal";

export function NoDevices({ addBoard }: { addBoard: () => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const addLocal = () => {
    setBusy(true);
    setProblem(null);
    addLocalDevices([], ENOUGH_DEVICES)
      .catch((error: unknown) => setProblem(asProblem(error)))
      .finally(() => setBusy(false));
  };
  return (
    <section className="empty" data-testid="no-devices">
      <h2>No devices yet</h2>
      <p>A board needs an SSH server and Python 3.8 or newer: no root, no internet, nothing installed beforehand. To try the studio, processes on this machine will do.</p>
      <Group gap="xs" mt="md">
        <Button size="sm" leftSection={<IconPlus size={15} />} disabled={busy} onClick={addBoard}>
          Add a board
        </Button>
        <Button size="sm" variant="default" leftSection={<IconDeviceDesktop size={15} />} loading={busy} onClick={addLocal} data-testid="add-local">
          Two processes here
        </Button>
      </Group>
      {problem && <ProblemCard problem={problem} />}
    </section>
  );
}
