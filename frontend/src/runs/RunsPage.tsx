/** The page of runs: their history, one run's report, several beside one another, and the deployments. */
import { SegmentedControl } from "@mantine/core";
import { useState } from "react";
import type { Route } from "@/app/router";
import { Header } from "@/app/Header";
import "@/styles/devices.css";
import "@/styles/runs.css";
import { CompareRuns } from "./CompareRuns";
import { DeploymentList } from "./DeploymentList";
import { RunList } from "./RunList";
import { RunReportView } from "./RunReportView";

export default function RunsPage({ route }: { route: Extract<Route, { page: "runs" }> }) {
  const [list, setList] = useState<"runs" | "deployments">("runs");
  return (
    <>
      <Header />
      <main className="page runs-page">
        {route.ids.length === 1 && <RunReportView key={route.ids[0]} id={route.ids[0] ?? ""} />}
        {route.ids.length > 1 && <CompareRuns ids={route.ids} />}
        {route.ids.length === 0 && (
          <section aria-labelledby="runs-title">
            <div className="page-head">
              <h1 id="runs-title">Runs</h1>
              <p>What ran on which devices, how fast, and what became of it. The newest are kept.</p>
              <SegmentedControl
                size="xs"
                aria-label="What is listed"
                value={list}
                onChange={(value) => setList(value === "runs" ? "runs" : "deployments")}
                data={[
                  { value: "runs", label: "Runs" },
                  { value: "deployments", label: "Deployments" },
                ]}
                data-testid="history-of"
              />
            </div>
            {list === "runs" ? <RunList /> : <DeploymentList />}
          </section>
        )}
      </main>
    </>
  );
}
