/** Edits that the studio does not have yet, kept in this browser: they outlive a reload, a crash and a studio that is away. */
import type { Model } from "@/api/types";
import { planDocument, type Content } from "./content";

/** What one window did to one plan since the studio's version. */
export interface Draft {
  key: string;
  /** Null: the plan was never saved. */
  planId: number | null;
  name: string;
  base: Content;
  mine: Content;
  at: number;
}

/** A draft that cannot be read; its text is all there is of it. */
export interface BrokenDraft {
  key: string;
  text: string;
  why: string;
}

const PREFIX = "studio-draft";

// Of this page load: what an earlier one left is nobody's, and whoever opens the plan takes it over.
const WINDOW = Math.random().toString(36).slice(2, 10);

export type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

const keyOf = (modelId: string, planId: number | null): string => `${PREFIX} ${modelId} ${planId ?? "new"} ${WINDOW}`;

const keysOf = (storage: Kept, prefix: string): string[] => Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? "").filter((key) => key.startsWith(prefix));

function ageOf(storage: Kept, key: string): number {
  const found = /"at":(\d+)/.exec(storage.getItem(key)?.slice(0, 200) ?? "");
  return Number(found?.[1] ?? 0);
}

/** What the draft's plan is called, as far as that can be read. */
function nameIn(text: string): string {
  try {
    const { name } = JSON.parse(text) as { name?: unknown };
    return typeof name === "string" ? name : UNNAMED;
  } catch {
    return UNNAMED;
  }
}

const UNNAMED = "a plan without a name";

export interface KeptDraft {
  /** False where this browser has no room for it, or keeps nothing. */
  stored: boolean;
  /** The plans of older drafts that had to make room. What they held is nowhere else: it must be told. */
  lost: readonly string[];
}

/** Keep a draft. Where there is no room, older ones go, the oldest first; where that does not help, they stay. */
export function keepDraft(model: Model, { planId, name, base, mine }: Omit<Draft, "key" | "at">, storage: Kept = window.localStorage): KeptDraft {
  const key = keyOf(model.id, planId);
  const text = JSON.stringify({ at: Date.now(), planId, name, base: planDocument(model, base), mine: planDocument(model, mine) });
  const gone: [key: string, text: string][] = [];
  try {
    if (fits(storage, key, text)) return { stored: true, lost: [] };
    for (const oldest of keysOf(storage, PREFIX).filter((other) => other !== key).sort((a, b) => ageOf(storage, a) - ageOf(storage, b))) {
      gone.push([oldest, storage.getItem(oldest) ?? ""]);
      storage.removeItem(oldest);
      if (fits(storage, key, text)) return { stored: true, lost: gone.map(([, draft]) => nameIn(draft)) };
    }
  } catch {
    // This browser keeps nothing.
  }
  const lost = gone.filter(([other, draft]) => !fits(storage, other, draft)).map(([, draft]) => nameIn(draft));
  return { stored: false, lost };
}

/** Whether there is room for a text; then it is kept. */
function fits(storage: Kept, key: string, text: string): boolean {
  try {
    storage.setItem(key, text);
    return true;
  } catch {
    return false;
  }
}

/** The studio has what this window's draft says. */
export function dropDraft(modelId: string, planId: number | null): void {
  forgetDraft(keyOf(modelId, planId));
}

export function forgetDraft(key: string): void {
  try {
    window.localStorage.removeItem(key);
  } catch {
    // This browser keeps nothing.
  }
}

/** Where drafts of a model are, whatever they are worth. */
export function draftKeys(modelId: string, storage: Kept = window.localStorage): string[] {
  try {
    return keysOf(storage, `${PREFIX} ${modelId} `);
  } catch {
    // This browser keeps nothing.
    return [];
  }
}

export const isOwn = (key: string): boolean => key.endsWith(` ${WINDOW}`);
