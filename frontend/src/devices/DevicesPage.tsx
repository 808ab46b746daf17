/** All devices: what each is, whether it can serve, adding others, and the links between them. */
import { Button, Loader } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { IconFileImport, IconPlus, IconRefresh, IconStopwatch } from "@tabler/icons-react";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { insist } from "@/app/insist";
import { asProblem, call, client } from "@/api/client";
import { devicesQuery, linksQuery, profilesQuery, rememberJob } from "@/api/queries";
import { useCommands, type Command } from "@/app/commands";
import { plural } from "@/app/format";
import { Header } from "@/app/Header";
import { tellProblem } from "@/app/notify";
import { ProblemCard } from "@/app/ProblemCard";
import { useJobs } from "@/jobs/useJobs";
import { jobOf } from "@/jobs/words";
import { LinkMatrix } from "@/links/LinkMatrix";
import "@/styles/devices.css";
import { useDeviceDialogs } from "./actions";
import AddDevice from "./AddDevice";
import { DeviceRow } from "./DeviceRow";
import { ImportDialog } from "./ImportDialog";
import { setMarks } from "./marks";
import { NoDevices } from "./NoDevices";
import { marksOf } from "./palette";
import { peersOf } from "./path";

const ProfileAll = lazy(() => insist(() => import("./ProfileAll")));

function measureLinks(): void {
  call(client.POST("/api/links", { body: { devices: null, seconds: 1 } })).then(rememberJob, tellProblem);
  document.querySelector(".links")?.scrollIntoView({ block: "nearest" });
}

export default function DevicesPage() {
  const { data, error, isPending, refetch } = useQuery(devicesQuery);
  const profiles = useQuery(profilesQuery).data ?? [];
  const jobs = useJobs();
  const marks = useMemo(() => marksOf(data ?? []), [data]);
  useEffect(() => setMarks(marks), [marks]);
  const { actions, checking, dialogs } = useDeviceDialogs();
  const [adding, setAdding] = useState<"one" | "many" | "profiles" | null>(null);
  const links = useQuery(linksQuery).data;
  const some = data !== undefined && data.length > 0;
  useCommands(
    useMemo(
      (): Command[] => [
        { id: "devices.add", group: "Run", title: "Add a device…", words: "board ssh new", run: () => setAdding("one") },
        { id: "devices.import", group: "Run", title: "Import devices…", words: "inventory ansible", run: () => setAdding("many") },
        { id: "devices.profile", group: "Run", title: "Profile all devices…", words: "measure layers", unable: some ? null : "There is no device", run: () => setAdding("profiles") },
        { id: "devices.links", group: "Run", title: "Measure all links", words: "bandwidth network", unable: some ? null : "There is no device", run: measureLinks },
      ],
      [some],
    ),
  );
  const names = (data ?? []).map(({ name }) => name);
  return (
    <>
      <Header />
      <main className="page">
        <section aria-label="Devices">
          <div className="page-head">
            <h1>Devices</h1>
            <p>{names.length > 0 ? plural(names.length, "device") : ""}</p>
            {names.length > 1 && (
              <>
                <Button size="xs" variant="default" leftSection={<IconRefresh size={14} />} loading={checking.size > 1} onClick={() => names.forEach(actions.check)} data-testid="check-all">
                  Check all
                </Button>
                <Button size="xs" variant="default" leftSection={<IconStopwatch size={14} />} onClick={() => setAdding("profiles")} data-testid="profile-all">
                  Profile all…
                </Button>
              </>
            )}
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
            <NoDevices addBoard={() => setAdding("one")} />
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
                peers={peersOf(links, device.name)}
                actions={actions}
                measureLinks={measureLinks}
              />
            ))}
          </ul>
        </section>
        {names.length > 0 && <LinkMatrix devices={names} />}
      </main>
      {dialogs}
      {adding === "one" && <AddDevice taken={names} close={() => setAdding(null)} />}
      {adding === "profiles" && (
        <Suspense>
          <ProfileAll devices={data ?? []} close={() => setAdding(null)} />
        </Suspense>
      )}
      {adding === "many" && <ImportDialog close={() => setAdding(null)} />}
    </>
  );
}
