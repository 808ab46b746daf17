/** Finding layers by words, fields and numbers; Enter goes to the next hit, Ctrl Enter selects all. */
import { ActionIcon, TextInput } from "@mantine/core";
import { IconChevronDown, IconChevronUp, IconSearch, IconX } from "@tabler/icons-react";
import { useEffect, useId, useMemo, useRef, useState, type FocusEvent, type KeyboardEvent, type RefObject } from "react";
import { formatWhole, plural } from "@/app/format";
import { insist } from "@/app/insist";
import type * as suggesting from "@/graph/suggest";
import type { Suggestion } from "@/graph/suggest";
import { cameraMan } from "./camera";
import { ask, findStore, useFind } from "./find";
import { showNode, type Folded } from "./folding";
import { SearchPanel } from "./parts";
import type { Finding } from "./useFinding";
import { select, viewStore } from "./view";

type Suggesting = typeof suggesting;
type Pressed = "all" | "next" | "previous";

/** How a search may go on: fetched when somebody begins to type. */
function useSuggesting(typing: boolean): Suggesting | null {
  const [language, setLanguage] = useState<Suggesting | null>(null);
  useEffect(() => {
    if (typing && language === null) void insist(() => import("@/graph/suggest")).then(setLanguage);
  }, [typing, language]);
  return language;
}

interface SearchBoxProps {
  finding: Finding;
  devices: readonly string[];
  /** Null while it is being laid out. */
  scene: Folded | null;
  input: RefObject<HTMLInputElement | null>;
  leave: () => void;
}

export function SearchBox({ finding: { rows, hits }, devices, scene, input, leave }: SearchBoxProps) {
  const { text, problem, query, place, typing, unread } = useFind((find) => find);
  const [caret, setCaret] = useState(0);
  const [active, setActive] = useState(-1);
  const [closed, setClosed] = useState(false);
  const nextCaret = useRef<number | null>(null);
  /** What was pressed before the text could be read. */
  const pressed = useRef<Pressed | null>(null);
  const id = useId();
  const language = useSuggesting(typing);
  const vocabulary = useMemo(() => (language && typing && rows ? language.vocabularyOf(rows, devices) : null), [language, typing, rows, devices]);
  const options = useMemo((): Suggestion[] => {
    if (!language || !vocabulary) return [];
    if (text.trim() === "") return language.examples(vocabulary).map((example) => ({ ...example, from: 0, to: text.length }));
    return language.suggest(text, Math.min(caret, text.length), vocabulary);
  }, [language, vocabulary, text, caret]);
  const isOpen = typing && !closed && vocabulary !== null && (options.length > 0 || problem !== null || query !== null);

  useEffect(() => {
    if (nextCaret.current === null) return;
    input.current?.setSelectionRange(nextCaret.current, nextCaret.current);
    nextCaret.current = null;
  }, [text, input]);

  const type = (next: string, at: number) => {
    pressed.current = null;
    ask(next);
    setCaret(at);
    setActive(-1);
    setClosed(false);
  };
  const take = ({ text: word, from, to }: Suggestion) => {
    nextCaret.current = from + word.length;
    type(text.slice(0, from) + word + text.slice(to), from + word.length);
    input.current?.focus();
  };
  const go = (by: number) => {
    if (hits.length === 0) return;
    const next = (place + by + hits.length + (place < 0 && by < 0 ? 1 : 0)) % hits.length;
    const node = hits[next];
    if (node === undefined) return;
    findStore.setState({ place: next });
    setClosed(true);
    select([node]);
    showNode(scene, node);
  };
  const selectAll = () => {
    if (hits.length === 0) return;
    select(hits);
    viewStore.setState({ announcement: `${plural(hits.length, "layer")} selected` });
    const [first] = hits;
    if (first !== undefined) cameraMan.reveal(first);
    leave();
  };
  const enter = (doing: Pressed) => {
    if (unread) pressed.current = doing;
    else if (doing === "all") selectAll();
    else go(doing === "next" ? 1 : -1);
  };
  useEffect(() => {
    if (unread || pressed.current === null) return;
    const doing = pressed.current;
    pressed.current = null;
    enter(doing);
  });
  const key = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const option = options[active];
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) enter("all");
    else if (event.key === "Enter" && isOpen && option) take(option);
    else if (event.key === "Enter") enter(event.shiftKey ? "previous" : "next");
    else if (event.key === "ArrowDown" && options.length > 0) {
      setActive(closed ? 0 : (active + 1) % options.length);
      setClosed(false);
    } else if (event.key === "ArrowUp" && isOpen && options.length > 0) setActive((active <= 0 ? options.length : active) - 1);
    else if (event.key === "Escape") {
      if (isOpen && active >= 0) setActive(-1);
      else if (text !== "") type("", 0);
      else leave();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const blurred = (event: FocusEvent<HTMLDivElement>) => {
    if (event.currentTarget.contains(event.relatedTarget)) return;
    findStore.setState({ typing: false });
    setActive(-1);
  };
  const found = problem !== null ? "?" : query === null ? "" : hits.length === 0 ? "none" : `${place < 0 || place >= hits.length ? "" : `${formatWhole(place + 1)}/`}${formatWhole(hits.length)}`;
  return (
    <div
      className="search"
      role="search"
      onBlur={blurred}
      onFocus={() => {
        findStore.setState({ typing: true });
        setClosed(false);
      }}
    >
      <TextInput
        ref={input}
        size="xs"
        role="combobox"
        aria-label="Find layers by name, kind, device or numbers"
        aria-expanded={isOpen}
        aria-controls={isOpen ? `${id}-list` : undefined}
        aria-activedescendant={isOpen && active >= 0 ? `${id}-${active}` : undefined}
        aria-autocomplete="list"
        aria-invalid={problem !== null}
        aria-describedby={problem && isOpen ? `${id}-problem` : undefined}
        placeholder="Find layers"
        data-testid="search"
        autoComplete="off"
        spellCheck={false}
        value={text}
        onChange={(event) => type(event.currentTarget.value, event.currentTarget.selectionStart ?? event.currentTarget.value.length)}
        onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? 0)}
        onKeyDown={key}
        leftSection={<IconSearch size={14} />}
        rightSectionWidth={text === "" ? 26 : 108}
        rightSectionPointerEvents="all"
        rightSection={
          text === "" ? (
            <kbd>/</kbd>
          ) : (
            <span className="search-more">
              <span role="status">{found}</span>
              <ActionIcon size="xs" variant="subtle" color="gray" aria-label="Previous hit" onClick={() => go(-1)}>
                <IconChevronUp size={13} />
              </ActionIcon>
              <ActionIcon size="xs" variant="subtle" color="gray" aria-label="Next hit" onClick={() => go(1)}>
                <IconChevronDown size={13} />
              </ActionIcon>
              <ActionIcon
                size="xs"
                variant="subtle"
                color="gray"
                aria-label="Clear"
                onClick={() => {
                  type("", 0);
                  input.current?.focus();
                }}
              >
                <IconX size={13} />
              </ActionIcon>
            </span>
          )
        }
      />
      {isOpen && <SearchPanel id={id} text={text} problem={problem} hits={query === null ? null : hits.length} options={options} active={active} take={take} selectAll={selectAll} />}
    </div>
  );
}
