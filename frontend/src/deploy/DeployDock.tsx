/** Below the network: the deployment that comes along, or why it could not begin. */
import { Button } from "@mantine/core";
import { lazy, Suspense } from "react";
import { ProblemCard } from "@/app/ProblemCard";
import { insist } from "@/app/insist";
import { useDeviceDialogs } from "@/devices/actions";
import type { Deploy } from "./useDeploy";

const DeploySheet = lazy(() => insist(() => import("./DeploySheet")));

export function DeployDock({ deploy }: { deploy: Deploy }) {
  const { shown, problem } = deploy;
  const { actions, dialogs } = useDeviceDialogs();
  return (
    <>
      {problem && (
        <div className="deploy-refused" data-testid="deploy-problem">
          <ProblemCard problem={problem}>
            {problem.code === "deployed_since" && (
              <>
                <Button size="compact-xs" onClick={deploy.open}>
                  Look at it
                </Button>
                <Button size="compact-xs" variant="default" onClick={deploy.overwrite} loading={deploy.busy} data-testid="deploy-over">
                  Deploy over it
                </Button>
              </>
            )}
            <Button size="compact-xs" variant="default" onClick={deploy.close}>
              Close
            </Button>
          </ProblemCard>
        </div>
      )}
      {shown && (
        <Suspense fallback={null}>
          <DeploySheet deployment={shown} close={deploy.close} cancel={deploy.cancel} retry={(device) => deploy.retry(shown, device)} busy={deploy.busy} showLog={actions.showLog} />
        </Suspense>
      )}
      {dialogs}
    </>
  );
}
