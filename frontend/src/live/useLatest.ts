/** A device's newest figures for what a person reads: twice a second at most, and only while it is in view. */
import { useEffect, useRef, useState, type RefObject } from "react";
import { own } from "@/app/own";
import { liveStore, STALE_AFTER_MS, type Latest } from "./store";

const EVERY_MS = 500;
/** How much later than that what came last is shown when nothing follows. */
const LAST_AFTER_MS = 120;

export interface LatestFigures<E extends Element> {
  ref: RefObject<E | null>;
  latest: Latest | undefined;
  /** Seconds since they came; null while they are new. */
  staleS: number | null;
}

const ageOf = (latest: Latest | undefined): number | null => {
  if (!latest) return null;
  const age = Date.now() - latest.receivedAt;
  return age > STALE_AFTER_MS ? Math.round(age / 1000) : null;
};

const latestOf = (device: string): Latest | undefined => own(liveStore.getState().latest, device);

export function useLatest<E extends Element>(device: string): LatestFigures<E> {
  const ref = useRef<E>(null);
  const [shown, setShown] = useState(() => ({ latest: latestOf(device), staleS: ageOf(latestOf(device)) }));
  useEffect(() => {
    let visible = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let aging: ReturnType<typeof setTimeout> | undefined;
    let takenAt = -Infinity;
    const take = () => {
      clearTimeout(timer);
      timer = undefined;
      clearTimeout(aging);
      takenAt = performance.now();
      if (!visible) return;
      const latest = latestOf(device);
      const staleS = ageOf(latest);
      setShown((old) => (old.latest === latest && old.staleS === staleS ? old : { latest, staleS }));
      // Silence is told, too: first when it is long enough, then how long it lasts.
      if (latest) aging = setTimeout(take, staleS === null ? Math.max(STALE_AFTER_MS - (Date.now() - latest.receivedAt) + 50, 50) : 1000);
    };
    take();
    const off = liveStore.subscribe((state, before) => {
      const old = own(before.latest, device);
      if (own(state.latest, device) === old) return;
      // Together with what else came just now, as one change of the page.
      if (!old || performance.now() - takenAt >= EVERY_MS) take();
      else timer ??= setTimeout(take, EVERY_MS + LAST_AFTER_MS);
    });
    const seen = new IntersectionObserver(([entry]) => {
      visible = entry?.isIntersecting ?? true;
      if (visible) take();
    });
    if (ref.current) seen.observe(ref.current);
    return () => {
      off();
      seen.disconnect();
      clearTimeout(timer);
      clearTimeout(aging);
    };
  }, [device]);
  return { ref, ...shown };
}
