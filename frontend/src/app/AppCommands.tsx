/** What can be done on every page; the palette, and the list of keys. */
import { useMantineColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo } from "react";
import { insist } from "./insist";
import { useStore } from "zustand";
import { devicesQuery, modelsQuery } from "@/api/queries";
import { useCommands, type Command } from "./commands";
import { closePalette, openPalette, paletteStore } from "./palette";
import { navigate, parseRoute, usePath, type Route } from "./router";
import { closeShortcuts, openShortcuts, shortcutsStore } from "./shortcuts";
import { useCommandKeys } from "./useCommandKeys";

const Palette = lazy(() => insist(() => import("./Palette")));
const Shortcuts = lazy(() => insist(() => import("./Shortcuts")));

const PAGES: readonly { page: Route["page"]; path: string; title: string; words: string }[] = [
  { page: "models", path: "/models", title: "Models", words: "networks upload page" },
  { page: "runs", path: "/runs", title: "Runs", words: "history reports page" },
  { page: "devices", path: "/devices", title: "Devices", words: "boards add links page" },
];

export function AppCommands() {
  useCommandKeys();
  const palette = useStore(paletteStore, ({ open }) => open);
  useCommands(useAppCommands(palette));
  const shortcuts = useStore(shortcutsStore, ({ open }) => open);
  return (
    <Suspense>
      {palette && <Palette close={closePalette} />}
      {shortcuts && <Shortcuts close={closeShortcuts} />}
    </Suspense>
  );
}

function useAppCommands(wanted: boolean): Command[] {
  const route = parseRoute(usePath());
  const here = route.page === "editor" ? `/m/${route.modelId}` : route.page;
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const models = useQuery({ ...modelsQuery, enabled: wanted });
  const devices = useQuery({ ...devicesQuery, enabled: wanted });
  return useMemo(() => {
    const theme = (scheme: "light" | "dark" | "auto", title: string): Command => ({
      id: `look.theme.${scheme}`, group: "Look", title, words: "theme colour mode", unable: colorScheme === scheme ? "It is so now" : null, run: () => setColorScheme(scheme),
    });
    return [
      { id: "app.palette", group: "Look", title: "Find a command", keys: "Ctrl K", run: openPalette },
      { id: "app.keys", group: "Look", title: "Keys and gestures", keys: "?", words: "shortcuts help keyboard", run: openShortcuts },
      theme("light", "Light theme"),
      theme("dark", "Dark theme"),
      theme("auto", "Theme as the system has it"),
      ...PAGES.map(({ page, path, title, words }): Command => ({ id: `go.${page}`, group: "Go to", title, words, unable: here === page ? "It is open" : null, run: () => navigate(path) })),
      ...(models.data ?? []).map(({ id, name }): Command => ({ id: `go.model.${id}`, group: "Go to", title: `Model ${name}`, words: "network open", unable: here === `/m/${id}` ? "It is open" : null, run: () => navigate(`/m/${encodeURIComponent(id)}`) })),
      ...(devices.data ?? []).map(({ name }): Command => ({ id: `go.device.${name}`, group: "Go to", title: `Device ${name}`, words: "board page", unable: here === "devices" ? "The page of devices is open" : null, run: () => navigate("/devices") })),
    ];
  }, [here, colorScheme, setColorScheme, models.data, devices.data]);
}
