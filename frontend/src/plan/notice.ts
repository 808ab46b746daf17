/** What happened to the plan by no hand of ours, said for a while with what can be done about it. */
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";

export interface NoticeAction {
  label: string;
  run: () => void;
}

export interface Notice {
  id: number;
  text: string;
  actions: readonly NoticeAction[];
  /** By the page's clock. */
  at: number;
}

const GONE_AFTER_MS = 12_000;
const TOGETHER_MS = 2000;

const noticeStore = createStore<{ notice: Notice | null }>()(() => ({ notice: null }));
export const useNotice = (): Notice | null => useStore(noticeStore, ({ notice }) => notice);
export const noticeNow = (): Notice | null => noticeStore.getState().notice;

let said = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export function notice(text: string, actions: readonly NoticeAction[] = []): void {
  said += 1;
  const before = noticeNow();
  // What is said at the same moment is said together.
  const both = before !== null && before.actions.length === 0 && performance.now() - before.at < TOGETHER_MS;
  noticeStore.setState({ notice: { id: said, text: both ? `${before.text} ${text}` : text, actions, at: performance.now() } });
  holdNotice(false);
}

export function endNotice(): void {
  clearTimeout(timer);
  noticeStore.setState({ notice: null });
}

/** It stays for as long as somebody is at it. */
export function holdNotice(held: boolean): void {
  clearTimeout(timer);
  if (!held) timer = setTimeout(endNotice, GONE_AFTER_MS);
}
