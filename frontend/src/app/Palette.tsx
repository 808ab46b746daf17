/** Everything that can be done, by name: commands with their keys, layers, devices, models. */
import { TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useStore } from "zustand";
import { useAllCommands, type Command } from "./commands";
import { Dialog } from "./Dialog";
import { useFinders } from "./finders";
import { KeyCaps } from "./KeyCaps";
import { matching } from "./matching";
import { paletteStore, typeInPalette } from "./palette";
import "../styles/palette.css";

const FOUND_MOST = 150;

export default function Palette({ close }: { close: () => void }) {
  const commands = useAllCommands();
  const finders = useFinders();
  const text = useStore(paletteStore, (palette) => palette.text);
  const [place, setPlace] = useState<number | null>(null);
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const found = useMemo(() => {
    const known = matching(commands, text);
    const more = text.trim() === "" ? [] : finders.flatMap((find) => find(text.trim()));
    // Two that offer the same are one.
    return [...new Map([...known, ...more].map((command) => [command.id, command])).values()].slice(0, FOUND_MOST);
  }, [commands, finders, text]);
  // What cannot be done is no first choice.
  const first = Math.max(found.findIndex(({ unable }) => unable == null), 0);
  const active = Math.min(place ?? first, found.length - 1);
  useEffect(() => {
    list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [active, found]);

  const run = (command: Command | undefined) => {
    if (!command || command.unable != null) return;
    close();
    // The focus first goes back to where it was; the command may then put it elsewhere.
    requestAnimationFrame(() => command.run());
  };
  const key = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const last = found.length - 1;
    if (event.key === "ArrowDown") setPlace(active >= last ? 0 : active + 1);
    else if (event.key === "ArrowUp") setPlace(active <= 0 ? last : active - 1);
    else if (event.key === "PageDown") setPlace(Math.min(active + 8, last));
    else if (event.key === "PageUp") setPlace(Math.max(active - 8, 0));
    else if (event.key === "Enter") run(found[active]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog onClose={close} withCloseButton={false} size={600} yOffset="11vh" padding={0} transitionProps={{ duration: 80 }} centered={false} attributes={{ content: { "aria-label": "Commands" } }} data-testid="palette">
      <TextInput
        role="combobox"
        aria-label="Find a command, a layer, a device or a model"
        aria-expanded={found.length > 0}
        aria-controls={`${id}-list`}
        aria-activedescendant={found.length > 0 ? `${id}-${active}` : undefined}
        aria-autocomplete="list"
        placeholder="What shall be done? A command, a layer, a device, a model"
        data-autofocus
        data-testid="palette-input"
        size="md"
        variant="unstyled"
        className="palette-input"
        autoComplete="off"
        spellCheck={false}
        leftSection={<IconSearch size={17} aria-hidden />}
        value={text}
        onChange={(event) => {
          typeInPalette(event.currentTarget.value);
          setPlace(null);
        }}
        onKeyDown={key}
      />
      <ul className="palette-list" id={`${id}-list`} role="listbox" aria-label="Commands" ref={list}>
        {found.map((command, i) => (
          <Option key={command.id} id={`${id}-${i}`} command={command} isFirst={found[i - 1]?.group !== command.group} isActive={i === active} point={() => setPlace(i)} run={() => run(command)} />
        ))}
      </ul>
      <p className="palette-none" role="status">
        {found.length === 0 ? `Nothing is called “${text.trim()}”.` : ""}
      </p>
    </Dialog>
  );
}

interface OptionProps {
  id: string;
  command: Command;
  /** Of its group. */
  isFirst: boolean;
  isActive: boolean;
  point: () => void;
  run: () => void;
}

function Option({ id, command: { group, title, keys, unable }, isFirst, isActive, point, run }: OptionProps) {
  return (
    <li id={id} role="option" aria-selected={isActive} aria-disabled={unable != null} onPointerMove={isActive ? undefined : point} onMouseDown={(event) => event.preventDefault()} onClick={run}>
      <span className="palette-group">{isFirst ? group : ""}</span>
      <span className="palette-title">
        {title}
        {unable != null && <small>{unable}</small>}
      </span>
      {keys && <KeyCaps keys={keys} />}
    </li>
  );
}
