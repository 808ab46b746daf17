/** Profiling all devices at once with one network. */
import { Button, Group, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconStopwatch } from "@tabler/icons-react";
import { useState } from "react";
import { asProblem, call, client, type Problem } from "@/api/client";
import { modelsQuery, rememberJob } from "@/api/queries";
import type { Device } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { navigate } from "@/app/router";
import { isUsable } from "./words";

export default function ProfileAll({ devices, close }: { devices: readonly Device[]; close: () => void }) {
  const models = useQuery(modelsQuery).data;
  const [chosen, setChosen] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<readonly { name: string; problem: Problem }[]>([]);
  const able = devices.filter(isUsable);
  const model = chosen ?? models?.[0]?.id ?? null;
  const start = async () => {
    if (model === null) return;
    setBusy(true);
    const answers = await Promise.all(
      able.map(({ name }) =>
        call(client.POST("/api/devices/{name}/profiles", { params: { path: { name } }, body: { model_id: model, threads: 0, again: false } })).then(
          (job) => {
            rememberJob(job);
            return null;
          },
          (error: unknown) => ({ name, problem: asProblem(error) }),
        ),
      ),
    );
    const failed = answers.filter((answer) => answer !== null);
    setBusy(false);
    setRefused(failed);
    if (failed.length === 0) close();
  };
  return (
    <Dialog onClose={close} title="Profile all devices" size="md">
      <p className="dialog-text">Each layer of one network is measured on {plural(able.length, "device")} at once, which takes about a minute for a network like ResNet-50. What was measured before is not measured again. Progress and cancel are at each device.</p>
      {models?.length === 0 ? (
        <Group mt="md">
          <Button onClick={() => navigate("/models")}>Add a network first</Button>
        </Group>
      ) : (
        <>
          <Select label="Network" mt="sm" value={model} onChange={setChosen} allowDeselect={false} data={(models ?? []).map(({ id, name }) => ({ value: id, label: name }))} data-testid="profile-all-model" data-autofocus />
          {refused.map(({ name, problem }) => (
            <div key={name} className="profile-refused">
              <b>{name}</b>
              <ProblemCard problem={problem} />
            </div>
          ))}
          <Group justify="flex-end" mt="md">
            <Button variant="default" onClick={close}>
              {refused.length > 0 ? "Close" : "Cancel"}
            </Button>
            <Button leftSection={<IconStopwatch size={15} />} loading={busy} disabled={model === null || able.length === 0} onClick={() => void start()} data-testid="profile-all-start">
              Measure {plural(able.length, "device")}
            </Button>
          </Group>
        </>
      )}
    </Dialog>
  );
}
