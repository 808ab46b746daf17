/** Runs side by side in a table; the best of each figure is marked. */
import { Button, Loader } from "@mantine/core";
import { useQueries } from "@tanstack/react-query";
import { IconArrowLeft, IconDownload, IconTrophy } from "@tabler/icons-react";
import { asProblem } from "@/api/client";
import { download } from "@/app/download";
import { Link } from "@/app/Header";
import { ProblemCard } from "@/app/ProblemCard";
import { navigate, runsPath } from "@/app/router";
import { compareRows } from "./compare";
import { compareCsv } from "./export";
import { reportQuery } from "./queries";
import { formatMoment } from "./words";

export function CompareRuns({ ids }: { ids: readonly string[] }) {
  const found = useQueries({ queries: ids.map((id) => reportQuery(id)) });
  const reports = found.flatMap(({ data }) => (data ? [data] : []));
  const failed = found.flatMap(({ error }) => (error ? [asProblem(error)] : []));
  const pending = found.some(({ isPending }) => isPending);
  return (
    <section aria-labelledby="compare-title">
      <div className="page-head">
        <Button size="compact-sm" variant="subtle" color="gray" leftSection={<IconArrowLeft size={14} />} onClick={() => navigate("/runs")}>
          All runs
        </Button>
        <h1 id="compare-title">{reports.length} runs side by side</h1>
        <p>The best of each is marked where they can be compared.</p>
        <Button size="xs" variant="default" leftSection={<IconDownload size={14} />} disabled={reports.length === 0} onClick={() => download("runs.csv", compareCsv(reports), "text/csv")} data-testid="compare-csv">
          CSV
        </Button>
      </div>
      {pending && <Loader size="sm" />}
      {failed.map((problem, i) => (
        <ProblemCard key={i} problem={problem} />
      ))}
      {reports.length > 0 && (
        <div className="runs-scroll" tabIndex={0} role="region" aria-label="Comparison">
          <table className="plain-table compare-table" data-testid="comparison">
            <thead>
              <tr>
                <td />
                {reports.map(({ run }) => (
                  <th key={run.id} scope="col">
                    <Link to={runsPath([run.id])}>{formatMoment(run.started_at)}</Link>
                    <small>run {run.id}</small>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {compareRows(reports).map(({ title, cells, best, note }) => (
                <tr key={title}>
                  <th scope="row">
                    {title}
                    {note !== undefined && <small>{note}</small>}
                  </th>
                  {cells.map((cell, i) => (
                    <td key={reports[i]?.run.id} className={best.has(i) ? "is-best" : ""}>
                      {best.has(i) && <IconTrophy size={12} aria-label="best" role="img" />} {cell}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
