/** Where plans are laid side by side, once somebody asks for it. */
import { lazy, Suspense, useEffect } from "react";
import { insist } from "@/app/insist";
import { closeComparison, useComparing } from "./comparing";
import type { CompareDockProps } from "./CompareDock";

const CompareDock = lazy(() => insist(() => import("./CompareDock")));

export function CompareHost(props: CompareDockProps) {
  const open = useComparing((state) => state.open);
  useEffect(() => closeComparison, []);
  return open ? (
    <Suspense fallback={null}>
      <CompareDock {...props} />
    </Suspense>
  ) : null;
}
