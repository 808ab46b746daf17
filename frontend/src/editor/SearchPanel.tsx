/** Below the search: what is wrong with it, what can be done with the hits, and how it may go on. */
import { Button, Switch } from "@mantine/core";
import { plural } from "@/app/format";
import type { QueryProblem } from "@/graph/query";
import type { Suggestion } from "@/graph/suggest";
import { useView, viewStore } from "./view";

interface SearchPanelProps {
  id: string;
  text: string;
  problem: QueryProblem | null;
  /** Null: nothing is searched for. */
  hits: number | null;
  options: readonly Suggestion[];
  active: number;
  take: (option: Suggestion) => void;
  selectAll: () => void;
}

export function SearchPanel({ id, text, problem, hits, options, active, take, selectAll }: SearchPanelProps) {
  const onlyHits = useView((view) => view.onlyHits);
  const isEmpty = text.trim() === "";
  return (
    <div className="search-panel" data-testid="search-panel">
      {problem && (
        <div className="search-problem" id={`${id}-problem`} role="status" data-testid="search-problem">
          <code>
            {text.slice(0, problem.start)}
            <mark>{text.slice(problem.start, problem.end)}</mark>
            {text.slice(problem.end)}
          </code>
          <p>{problem.message}</p>
          {hits !== null && <p className="search-kept">The hits are still those of the search before.</p>}
        </div>
      )}
      {hits !== null && !problem && (
        <div className="search-hits">
          <b>{hits === 0 ? "No layer" : plural(hits, "layer")}</b>
          <Switch size="xs" label="Dim the others" checked={onlyHits} onChange={(event) => viewStore.setState({ onlyHits: event.currentTarget.checked })} data-testid="only-hits" />
          <Button size="compact-xs" variant="default" disabled={hits === 0} onClick={selectAll} rightSection={<kbd>Ctrl Enter</kbd>} data-testid="select-hits">
            Select all
          </Button>
        </div>
      )}
      {isEmpty && <p className="search-title">Searches to begin with</p>}
      <ul id={`${id}-list`} role="listbox" aria-label={isEmpty ? "Examples" : "Suggestions"}>
        {options.map((option, i) => (
          <li
            key={option.text}
            id={`${id}-${i}`}
            role="option"
            aria-selected={i === active}
            // The focus stays where one types.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => take(option)}
          >
            <code>{option.text}</code>
            <span>{typeof option.note === "number" ? plural(option.note, "layer") : option.note}</span>
          </li>
        ))}
      </ul>
      {isEmpty && <p className="search-foot">Words look into name, kind and device. All terms must hold; “not” or “-” turns one round.</p>}
    </div>
  );
}
