/** Nothing has run yet: what to do so that something does. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { devicesQuery, modelsQuery } from "@/api/queries";
import { editorPath, navigate } from "@/app/router";

export function NoRuns() {
  const [model] = useQuery(modelsQuery).data ?? [];
  const devices = useQuery(devicesQuery).data ?? [];
  const next = !model ? (["Add a network", "/models"] as const) : devices.length === 0 ? (["Add devices", "/devices"] as const) : ([`Open ${model.name}`, editorPath(model.id)] as const);
  return (
    <div className="empty" data-testid="no-runs">
      <h2>Nothing has run yet</h2>
      <p>
        {model && devices.length > 0
          ? "Place the layers on devices, press Deploy, then Run: every run is kept here with its figures, and with what was predicted of it."
          : "A run needs a network and devices to carry it. Both are a press away."}
      </p>
      <Button size="sm" mt="md" onClick={() => navigate(next[1])} data-testid="no-runs-next">
        <span className="shortened">{next[0]}</span>
      </Button>
    </div>
  );
}
