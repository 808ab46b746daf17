/** What both sides changed: this window and another one, or edits that this browser kept and the studio. Both sides of each, and which shall stand. */
import { Button } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import { useCommands, type Command } from "@/app/commands";
import { formatAgo, plural } from "@/app/format";
import { conflictSide, conflictTitle } from "@/plan/conflictWords";
import type { Content } from "@/plan/content";
import type { Conflict } from "@/plan/merge";
import { endPreview, showPreview, usePreviewLabel } from "@/plan/preview";
import { usePlan } from "@/plan/store";
import { focusLayers } from "./showing";
import { viewStore } from "./view";

interface ConflictCardProps {
  conflicts: readonly Conflict[];
  theirs: Content;
  /** When this side was kept in this browser; null: it is what is done here now. */
  keptAt: number | null;
  /** How many kept drafts come after this. */
  waiting: number;
  /** Shows these layers on the canvas. */
  show: (layers: readonly string[]) => void;
  resolve: (side: (key: string) => Side) => void;
}

type Side = "mine" | "theirs";
const SIDES = ["mine", "theirs"] as const satisfies readonly Side[];

interface Words {
  title: string;
  what: string;
  /** Of each side, in a word; and what taking all of it is called. */
  sides: Record<Side, string>;
  take: Record<Side, string>;
  /** What the canvas shows while theirs is looked at. */
  look: string;
}

function wordsOf(keptAt: number | null, now: number): Words {
  if (keptAt === null) {
    return { title: "Changed here and in another window", what: "", sides: { mine: "Mine", theirs: "Theirs" }, take: { mine: "Keep mine", theirs: "Take theirs" }, look: "the plan as the other window has it" };
  }
  return {
    title: "Edits kept in this browser contradict the plan",
    what: `They were made here ${formatAgo(new Date(keptAt).toISOString(), now)}, and the plan was saved otherwise since. `,
    sides: { mine: "Kept", theirs: "Saved" },
    take: { mine: "Use what was kept", theirs: "Use what is saved" },
    look: "the plan as it is saved",
  };
}

export function ConflictCard({ conflicts, theirs, keptAt, waiting, show, resolve }: ConflictCardProps) {
  const mine = usePlan((content) => content);
  const [chosen, setChosen] = useState<ReadonlyMap<string, Side>>(new Map());
  const [now] = useState(() => Date.now());
  const card = useRef<HTMLElement>(null);
  const { title, what, sides, take, look } = wordsOf(keptAt, now);
  const looking = usePreviewLabel() === look;
  useEffect(() => endPreview, []);
  useEffect(() => viewStore.setState({ announcement: `${title}. Press F8 to choose what stands.` }), [title]);
  useCommands(
    useMemo((): Command[] => [{ id: "plan.contradictions", group: "Plan", title: "Go to what contradicts", keys: "F8", words: "conflict merge settle", run: () => card.current?.querySelector<HTMLElement>("input:checked")?.focus() }], []),
  );
  const sideOf = (key: string) => chosen.get(key) ?? "mine";
  const chooseAll = (side: Side) => setChosen(new Map(conflicts.map(({ key }) => [key, side])));
  const taken = conflicts.filter(({ key }) => sideOf(key) === "theirs").length;
  const act = taken === 0 ? take.mine : taken === conflicts.length ? take.theirs : `Use ${conflicts.length - taken} ${sides.mine.toLowerCase()}, ${taken} ${sides.theirs.toLowerCase()}`;
  return (
    <section ref={card} className="trouble conflict" role="alertdialog" aria-labelledby="conflict-title" aria-describedby="conflict-what" data-testid="conflict">
      <h2 id="conflict-title">{title}</h2>
      <p id="conflict-what">
        {what}
        {plural(conflicts.length, "edit")} {conflicts.length === 1 ? "contradicts" : "contradict"}; all others are put together already. Nothing is saved until you choose, and undo brings the other side back.
        {waiting > 0 && ` ${plural(waiting, "other set")} of kept edits ${waiting === 1 ? "comes" : "come"} after this.`}
      </p>
      <div className="conflict-all" role="group" aria-label="For all">
        {SIDES.map((side) => (
          <Button key={side} size="compact-xs" variant="default" onClick={() => chooseAll(side)} data-testid={`conflict-all-${side}`}>
            All {sides[side].toLowerCase()}
          </Button>
        ))}
        <Button size="compact-xs" variant="subtle" aria-pressed={looking} onClick={() => (looking ? endPreview() : showPreview(theirs, look))} data-testid="conflict-look">
          Look at {sides[looking ? "mine" : "theirs"].toLowerCase()}
        </Button>
      </div>
      <ul className="conflict-list" tabIndex={0} aria-label="What contradicts">
        {conflicts.map((conflict) => {
          const name = conflictTitle(conflict);
          return (
            <li key={conflict.key}>
              {conflict.layers.length > 0 ? (
                <button type="button" className="link conflict-name" onClick={() => show(conflict.layers)} title={name}>
                  <bdi>{name}</bdi>
                </button>
              ) : (
                <b className="conflict-name" title={name}>
                  <bdi>{name}</bdi>
                </b>
              )}
              <div className="conflict-sides" role="radiogroup" aria-label={name}>
                {SIDES.map((side) => (
                  <label key={side} className={sideOf(conflict.key) === side ? "is-chosen" : undefined}>
                    <input type="radio" name={conflict.key} checked={sideOf(conflict.key) === side} onChange={() => setChosen(new Map(chosen).set(conflict.key, side))} data-testid={`conflict-${side}`} />
                    <span>{sides[side]}</span>
                    <bdi title={conflictSide(conflict, side === "mine" ? mine : theirs)}>{conflictSide(conflict, side === "mine" ? mine : theirs)}</bdi>
                  </label>
                ))}
              </div>
            </li>
          );
        })}
      </ul>
      <footer>
        <Button
          size="xs"
          onClick={() => {
            resolve(sideOf);
            // The card goes, and what had the focus with it.
            focusLayers();
          }}
          data-testid="conflict-use"
        >
          {act}
        </Button>
      </footer>
    </section>
  );
}
