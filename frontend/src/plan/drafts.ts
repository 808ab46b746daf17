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
/** Plans of which a browser keeps drafts; the oldest goes first. */
const MOST_DRAFTS = 20;

// Of this page load: what an earlier one left is nobody's, and whoever opens the plan takes it over.
const WINDOW = Math.random().toString(36).slice(2, 10);

export type Kept = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

const keyOf = (modelId: string, planId: number | null): string => `${PREFIX} ${modelId} ${planId ?? "new"} ${WINDOW}`;

const keysOf = (storage: Kept, prefix: string): string[] => Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? "").filter((key) => key.startsWith(prefix));

function ageOf(storage: Kept, key: string): number {
  const found = /"at":(\d+)/.exec(storage.getItem(key)?.slice(0, 200) ?? "");
  return Number(found?.[1] ?? 0);
}

function dropOldest(storage: Kept, but: string, most: number): boolean {
  const others = keysOf(storage, PREFIX).filter((key) => key !== but).sort((a, b) => ageOf(storage, a) - ageOf(storage, b));
  const surplus = others.slice(0, Math.max(others.length - most, 0));
  for (const key of surplus) storage.removeItem(key);
  return surplus.length > 0;
}

/** Keep a draft; false where this browser has no room for it, or keeps nothing. */
export function keepDraft(model: Model, { planId, name, base, mine }: Omit<Draft, "key" | "at">, storage: Kept = window.localStorage): boolean {
  const key = keyOf(model.id, planId);
  const text = JSON.stringify({ at: Date.now(), planId, name, base: planDocument(model, base), mine: planDocument(model, mine) });
  try {
    dropOldest(storage, key, MOST_DRAFTS - 1);
    for (let most = MOST_DRAFTS / 2; ; most = Math.floor(most / 2)) {
      try {
        storage.setItem(key, text);
        return true;
      } catch {
        if (!dropOldest(storage, key, most) && most === 0) return false;
      }
    }
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
