/** All devices: what each is, whether it can serve, adding others, and the links between them. */
import { Button, Loader, Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconFileImport, IconPlus } from "@tabler/icons-react";
import { useEffect, useMemo, useState } from "react";
import { asProblem } from "@/api/client";
import { devicesQuery, profilesQuery } from "@/api/queries";
import { plural } from "@/app/format";
import { Header } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { useJobs } from "@/jobs/useJobs";
import { jobOf } from "@/jobs/words";
import { LinkMatrix } from "@/links/LinkMatrix";
import { useDeviceDialogs } from "./actions";
import { DeviceForm } from "./DeviceForm";
import { DeviceRow } from "./DeviceRow";
import { ImportDialog } from "./ImportDialog";
import { setMarks } from "./marks";
import { marksOf } from "./palette";

export default function DevicesPage() {
  const { data, error, isPending, refetch } = useQuery(devicesQuery);
  const profiles = useQuery(profilesQuery).data ?? [];
  const jobs = useJobs();
  const marks = useMemo(() => marksOf(data ?? []), [data]);
  useEffect(() => setMarks(marks), [marks]);
  const { actions, checking, dialogs } = useDeviceDialogs();
  const [adding, setAdding] = useState<"one" | "many" | null>(null);
  const names = (data ?? []).map(({ name }) => name);
  return (
    <>
      <Header />
      <main className="page">
        <section aria-label="Devices">
          <div className="page-head">
            <h1>Devices</h1>
            <p>{names.length > 0 ? plural(names.length, "device") : ""}</p>
            <Button size="xs" variant="default" leftSection={<IconFileImport size={14} />} onClick={() => setAdding("many")} data-testid="import-devices">
              Import…
            </Button>
            <Button size="xs" leftSection={<IconPlus size={14} />} onClick={() => setAdding("one")} data-testid="add-device">
              Add a device
            </Button>
          </div>
          {isPending && <Loader size="sm" />}
          {error && (
            <ProblemCard problem={asProblem(error)}>
              <Button size="xs" variant="default" onClick={() => void refetch()}>
                Try again
              </Button>
            </ProblemCard>
          )}
          {data?.length === 0 && (
            <section className="empty">
              <h2>No devices yet</h2>
              <p>A device needs an SSH server and Python 3.8 or newer: no root, no internet, nothing installed beforehand. To try the studio, a process on this machine will do.</p>
            </section>
          )}
          <ul className="device-list">
            {data?.map((device) => (
              <DeviceRow
                key={device.name}
                device={device}
                mark={marks.get(device.name) ?? null}
                busy={checking.has(device.name)}
                job={jobOf(jobs.filter(({ kind }) => kind !== "links"), device.name)}
                profiles={profiles.filter((profile) => profile.device === device.name).length}
                actions={actions}
              />
            ))}
          </ul>
        </section>
        {names.length > 0 && <LinkMatrix devices={names} />}
      </main>
      {dialogs}
      <Modal opened={adding === "one"} onClose={() => setAdding(null)} title="Add a device" centered>
        <DeviceForm taken={names} done={() => setAdding(null)} />
      </Modal>
      {adding === "many" && <ImportDialog close={() => setAdding(null)} />}
    </>
  );
}
