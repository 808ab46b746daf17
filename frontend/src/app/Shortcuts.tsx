/** The list of keys. */
import { Modal } from "@mantine/core";
import { useEffect } from "react";
import { useStore } from "zustand";
import { openShortcuts, SHORTCUTS, shortcutsStore } from "./shortcuts";

export function Shortcuts() {
  const open = useStore(shortcutsStore, (state) => state.open);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, [contenteditable]") !== null;
      if (event.key === "?" && !typing) openShortcuts();
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, []);
  return (
    <Modal opened={open} onClose={() => shortcutsStore.setState({ open: false })} title="Keys and gestures" size="lg" centered>
      <div className="shortcuts" data-testid="shortcuts">
        {SHORTCUTS.map(({ title, keys }) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([combination, what]) => (
                <div key={combination}>
                  <dt>
                    <kbd>{combination}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
