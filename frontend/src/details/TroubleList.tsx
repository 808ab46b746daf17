/** What the studio's report says of layers, in full, with what to do. */
import { IconAlertCircle, IconAlertTriangle } from "@tabler/icons-react";
import { at, type Network } from "@/graph/network";
import { useView } from "@/editor/view";
import { jump } from "./Panel";
import { ShortList } from "./ShortList";

export function TroubleList({ network, nodes }: { network: Network; nodes: readonly number[] }) {
  const troubles = useView((view) => view.troubles);
  const found = nodes.flatMap((node) => (troubles.get(at(network.nodes, node).name) ?? []).map((trouble) => ({ node, ...trouble })));
  if (found.length === 0) return null;
  return (
    <ShortList
      className="details-troubles"
      label="Errors and warnings"
      items={found}
      draw={({ node, severity, message, nextStep }) => (
        <li key={`${node} ${message}`} className={`is-${severity}`}>
          {severity === "error" ? <IconAlertCircle size={15} aria-label="Error" /> : <IconAlertTriangle size={15} aria-label="Warning" />}
          <div>
            {nodes.length > 1 && (
              <button type="button" className="link" onClick={() => jump(node)}>
                {at(network.nodes, node).name}
              </button>
            )}
            <p>{message}</p>
            {nextStep !== null && <p className="problem-next">{nextStep}</p>}
          </div>
        </li>
      )}
    />
  );
}
