/** Which files the page is made of. Few and large ones: they pack better, and each that is asked for takes its time. */

/** What every page needs of others: stays cached while our own code changes. */
const PACKAGES = ["react", "react-dom", "scheduler", "clsx", "zustand", "use-sync-external-store", "openapi-fetch", "@tanstack/react-query", "@tanstack/query-core", "@floating-ui", "@mantine/hooks/esm/use-(media-query|reduced-motion|resize-observer|viewport-size|window-event)"].join("|");
const COMPONENTS = ["ActionIcon", "Button", "CloseButton", "FocusTrap", "Input", "InputBase", "Loader", "Menu", "Popover", "Portal", "TextInput", "Tooltip", "Transition", "UnstyledButton", "VisuallyHidden"].join("|");

const BASE = new RegExp(`/node_modules/((${PACKAGES}|@mantine/core/esm/(core|components/(${COMPONENTS})))/|@mantine/core/styles/(${COMPONENTS})\\.)`);
/** What the first script of all needs, which waits for nothing else. */
const FIRST = /\/src\/(app\/early|graph\/layoutWorker)\.ts$|vite\/preload-helper/;

const EDITOR = "/src/editor/Editor.tsx";
const OTHERS = ["/src/start.tsx", "/src/models/ModelsPage.tsx", "/src/devices/DevicesPage.tsx", "/src/runs/RunsPage.tsx"];

interface Modules {
  getModuleInfo: (id: string) => { importedIds: readonly string[] } | null;
}

const reached = new Map<string, Set<string>>();

/** Our own modules that come with a page. */
function withPage(root: string, modules: Modules): Set<string> {
  let found = reached.get(root);
  if (!found) {
    found = new Set([root]);
    for (const id of found) modules.getModuleInfo(id)?.importedIds.filter((other) => other.includes("/src/")).forEach((other) => found?.add(other));
    reached.set(root, found);
  }
  return found;
}

/** `shared`: with the editor and with another page; else with the editor alone. */
function ofEditor(shared: boolean) {
  return (id: string, modules: Modules): boolean => {
    const folder = /^(.*)\/src\//.exec(id)?.[1];
    if (folder === undefined || !withPage(folder + EDITOR, modules).has(id)) return false;
    return OTHERS.some((page) => withPage(folder + page, modules).has(id)) === shared;
  };
}

const [isShared, isEditors] = [ofEditor(true), ofEditor(false)];

export const groups = [
  { name: "first", test: FIRST, priority: 4 },
  { name: "base", test: BASE, priority: 3 },
  { name: (id: string, modules: Modules) => (isShared(id, modules) ? "common" : null), priority: 2 },
  // Else the editor's file would have them, and other pages would need it.
  { name: "icons", test: /\/@tabler\/icons-react\//, minShareCount: 2, priority: 2 },
  { name: (id: string, modules: Modules) => (isEditors(id, modules) || /\/node_modules\/(@xyflow|d3-|classcat)/.test(id) ? "editor" : null), priority: 1 },
];
