/** Why there is no plan: each limit that stands in the way, and by how much. */
import { IconBarrierBlock } from "@tabler/icons-react";
import { plural } from "@/app/format";
import type { Obstacle } from "./types";
import { obstacleFigures, sortedObstacles } from "./words";

/** Where the words tell no figure. */
function Amounts({ obstacle }: { obstacle: Obstacle }) {
  const figures = /\d/u.test(obstacle.text.replaceAll(obstacle.subject, "")) ? null : obstacleFigures(obstacle);
  return figures === null ? null : <small>{figures}</small>;
}

function List({ obstacles }: { obstacles: readonly Obstacle[] }) {
  return (
    <ul>
      {obstacles.map((obstacle) => (
        <li key={`${obstacle.limit} ${obstacle.subject}`}>
          {obstacle.text}
          <Amounts obstacle={obstacle} />
        </li>
      ))}
    </ul>
  );
}

export function Obstacles({ obstacles }: { obstacles: readonly Obstacle[] }) {
  const { helping, others } = sortedObstacles(obstacles);
  return (
    <section className="obstacles" role="alert" data-testid="obstacles">
      <h3>
        <IconBarrierBlock size={16} aria-hidden /> No plan keeps all limits
      </h3>
      <List obstacles={helping} />
      {others.length > 0 && (
        <details className="planner-fold">
          <summary>{plural(others.length, "limit")} more, of which none helps alone</summary>
          <List obstacles={others} />
        </details>
      )}
      <p>Loosen one of them below, or let the plan use more devices. Your plan is as it was.</p>
    </section>
  );
}
