/** What can be done to each device, found by its name. */
import { useCallback, useEffect, useRef } from "react";
import { devicesQuery, queryClient } from "@/api/queries";
import type { Command } from "@/app/commands";
import { useFinder, type Finder } from "@/app/finders";
import { matching } from "@/app/matching";
import type { DeviceDoings } from "./actions";

const DOINGS: readonly { doing: keyof DeviceDoings; title: (name: string) => string; words: string }[] = [
  { doing: "showCharts", title: (name) => `Live charts of ${name}`, words: "load memory power watts" },
  { doing: "profile", title: (name) => `Profile ${name}…`, words: "measure layers time" },
  { doing: "power", title: (name) => `Power of ${name}…`, words: "energy meter calibration watts" },
  { doing: "check", title: (name) => `Check ${name} again`, words: "ready" },
  { doing: "showLog", title: (name) => `Agent log of ${name}`, words: "trouble" },
];

export function useDeviceCommands(actions: DeviceDoings): void {
  const latest = useRef(actions);
  useEffect(() => {
    latest.current = actions;
  });
  const finder = useCallback<Finder>((text) => {
    const devices = queryClient.getQueryData(devicesQuery.queryKey) ?? [];
    const commands = devices.flatMap(({ name }) => DOINGS.map(({ doing, title, words }): Command => ({ id: `device.${doing}.${name}`, group: "Go to", title: title(name), words, run: () => latest.current[doing](name) })));
    return matching(commands, text);
  }, []);
  useFinder(finder);
}
