/** Finding layers by name, kind or device; Enter goes to the next hit. */
import { ActionIcon, TextInput } from "@mantine/core";
import { IconChevronDown, IconChevronUp, IconSearch, IconX } from "@tabler/icons-react";
import { useEffect, useState, type KeyboardEvent, type RefObject } from "react";
import { search } from "@/graph/select";
import type { Network } from "@/graph/network";
import { devicesOfLayer } from "@/plan/divisions";
import { planStore } from "@/plan/store";
import { cameraMan } from "./camera";
import { openTo, type Folded } from "./folding";
import { select, viewStore } from "./view";

interface SearchBoxProps {
  network: Network;
  /** Null while it is being laid out. */
  scene: Folded | null;
  input: RefObject<HTMLInputElement | null>;
  leave: () => void;
}

export function SearchBox({ network, scene, input, leave }: SearchBoxProps) {
  const [query, setQuery] = useState("");
  const [hits, setHits] = useState<readonly number[]>([]);
  const [place, setPlace] = useState(-1);

  const ask = (text: string) => {
    setQuery(text);
    const { content } = planStore.getState();
    const found = search(network, text, (layer) => devicesOfLayer(content, layer).join(" ") || undefined);
    setHits(found);
    setPlace(-1);
    viewStore.setState({ hits: new Set(found) });
  };
  useEffect(() => () => viewStore.setState({ hits: new Set() }), []);

  const go = (by: number) => {
    if (hits.length === 0) return;
    const next = (place + by + hits.length + (place < 0 && by < 0 ? 1 : 0)) % hits.length;
    const node = hits[next];
    if (node === undefined) return;
    setPlace(next);
    select([node]);
    // A folded hit comes into view with the picture in which it is open.
    if (scene && openTo(scene, node)) cameraMan.showNext(node);
    else cameraMan.show(node);
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      if (query === "") leave();
      else ask("");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="search">
      <TextInput
        ref={input}
        size="xs"
        aria-label="Find layers by name, kind or device"
        placeholder="Find layers"
        data-testid="search"
        value={query}
        onChange={(event) => ask(event.currentTarget.value)}
        onKeyDown={key}
        leftSection={<IconSearch size={14} />}
        rightSectionWidth={query === "" ? 26 : 108}
        rightSectionPointerEvents="all"
        rightSection={
          query === "" ? (
            <kbd>/</kbd>
          ) : (
            <span className="search-more">
              <span role="status">{hits.length === 0 ? "none" : `${place < 0 ? "" : `${place + 1}/`}${hits.length}`}</span>
              <ActionIcon size="xs" variant="subtle" color="gray" aria-label="Previous hit" onClick={() => go(-1)}>
                <IconChevronUp size={13} />
              </ActionIcon>
              <ActionIcon size="xs" variant="subtle" color="gray" aria-label="Next hit" onClick={() => go(1)}>
                <IconChevronDown size={13} />
              </ActionIcon>
              <ActionIcon size="xs" variant="subtle" color="gray" aria-label="Clear" onClick={() => ask("")}>
                <IconX size={13} />
              </ActionIcon>
            </span>
          )
        }
      />
    </div>
  );
}
