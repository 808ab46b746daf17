/**
 * One plan, the same here and in the studio: saves our edits, and puts together what other windows save of it.
 *
 * What the studio does not have yet is kept in this browser, so that a studio that is away, a reload or a removed plan
 * lose nothing.
 */
import { asProblem, Problem } from "@/api/client";
import type { Model, SavedPlan } from "@/api/types";
import { plural } from "@/app/format";
import { insist } from "@/app/insist";
import { contentOf, EMPTY, sameContent, sameForm, type Content } from "./content";
import { layersTouched, replaceBy } from "./delta";
import { draftKeys, dropDraft, forgetDraft, keepDraft } from "./drafts";
import { labelElsewhere } from "./elsewhere";
import { endNotice, notice, type NoticeAction } from "./notice";
import type { readDrafts } from "./readDrafts";
import { createPlan, hasModel, isPassing, planOf, plansOf, restorePlan, updatePlan } from "./saved";
import { edit, editElsewhere, openPlan, planStore, replacePlan } from "./store";
import { infoOf, syncStore, type Sync, type SyncState } from "./sync";
import { Versions } from "./versions";

const SAVE_AFTER_MS = 500;
const RETRY_AFTER_MS = 3000;
/** What takes longer to save is kept in this browser meanwhile. */
const SLOW_MS = 2000;
const FIRST_NAME = "Plan";
/** How often another window may be faster before the person hears of it. */
export const TRIES = 3;

export class SyncedPlan {
  protected saved: SavedPlan | null = null;
  private readonly versions = new Versions();
  private name = FIRST_NAME;
  protected timer: ReturnType<typeof setTimeout> | undefined;
  private saving: Promise<void> | null = null;
  protected heardMeanwhile = false;
  /** Whether the last request found no studio. */
  protected away = false;
  /** Whether this plan is under the hand already: before that it is what was open before. */
  protected begun = false;
  /** The plan as it was when it was closed: what is under the hand then is another's. */
  protected left: Content | null = EMPTY;
  /** Whether this browser has a draft of this window. */
  private drafted = false;
  private reader: { readDrafts: typeof readDrafts } | null = null;
  private quiet = false;
  /** When the draft was kept that contradicts the plan now. */
  private keptAt: number | null = null;

  constructor(protected readonly model: Model) {}

  /** The page, or this network, may be left now. Returns whether nothing would be lost. */
  leave(): boolean {
    if (!this.dirty()) return true;
    const { state } = syncStore.getState();
    const stored = this.keep();
    if (state !== "conflict" && state !== "gone") void this.save(true);
    return stored;
  }

  /** Somebody saved, removed or restored plans or networks, or the studio is back: look what became of ours. */
  async heard(): Promise<void> {
    const { state, gone } = syncStore.getState();
    if (this.closed) return;
    this.heardMeanwhile = state === "loading" || this.isBusy();
    if (this.heardMeanwhile) return;
    const asked = this.saved;
    try {
      if (gone === "model") await this.comeBack();
      else await this.look();
    } catch (error) {
      const problem = asProblem(error);
      if (this.closed || asked?.id !== this.saved?.id) return;
      if (problem.status === 404) await this.lost(problem);
      else if (this.away) this.wait(problem);
    }
  }

  /** In a contradiction: ours stands, or theirs, unit by unit. The other side stays in the history. */
  resolve = (side: (key: string) => "mine" | "theirs"): void => {
    const mine = this.now();
    const other = this.keptAt === null ? "the other window's" : "what was saved";
    const { theirs, chosen } = this.versions.settle(mine, side);
    this.quietly(() => {
      replacePlan(theirs, `Took ${other}`);
      // A step of its own, so that undo brings the other side back.
      if (!sameContent(chosen, theirs)) replacePlan(chosen, sameContent(chosen, mine) ? "Kept mine" : `Some of mine, some of ${other}`);
    });
    this.keptAt = null;
    this.say("unsaved", { conflict: null });
    this.changed();
  };

  /** The plan was removed elsewhere: bring it back with what was done since; where that is too late, save it as another one. Throws a Problem. */
  saveAgain = async (): Promise<void> => {
    try {
      if (this.saved !== null) await restorePlan(this.saved.id);
    } catch (error) {
      const problem = asProblem(error);
      if (problem.status !== 404) throw problem;
      this.saveAnew();
      return;
    }
    await this.heard();
  };

  protected get closed(): boolean {
    return this.left !== null;
  }

  protected now(): Content {
    return this.left ?? planStore.getState().content;
  }

  private isBusy(): boolean {
    return this.saving !== null || planStore.getState().gesture !== "none";
  }

  /** Change what is under the hand while nothing follows from it yet. */
  private quietly(work: () => void): void {
    this.quiet = true;
    work();
    this.quiet = false;
  }

  /** Have a plan under the hand that the studio has (null: not yet), with what this browser kept of it. */
  protected begin(content: Content, plan: SavedPlan | null): void {
    clearTimeout(this.timer);
    // What the last one offers to undo is not here any more.
    endNotice();
    this.saved = plan;
    this.name = plan?.name ?? FIRST_NAME;
    this.versions.begin(content);
    this.begun = true;
    this.drafted = false;
    this.keptAt = null;
    this.quietly(() => openPlan(content));
    this.say("saved", { conflict: null, gone: null, otherForm: null });
    this.bringBack();
  }

  /**
   * Take up edits of this plan that an earlier page could not save. A draft that contradicts another one waits until the
   * studio has that one: two of them are never put together unseen.
   */
  private bringBack(): void {
    syncStore.setState({ waiting: 0 });
    const start = this.now();
    const drafts = this.kept().drafts.filter(({ planId }) => planId === (this.saved?.id ?? null));
    let waiting = 0;
    for (const draft of drafts) {
      const { content, conflicts } = this.versions.with(draft, this.now());
      if (this.keptAt !== null || (conflicts.length > 0 && this.dirty())) {
        waiting += 1;
        continue;
      }
      if (conflicts.length > 0) this.keptAt = draft.at;
      this.versions.recall(draft);
      const delta = replaceBy(this.now(), content, "");
      if (delta) edit({ ...delta, label: `Kept in this browser: ${named(layersTouched(delta))}` });
      forgetDraft(draft.key);
      this.keep();
      this.contradict();
    }
    syncStore.setState({ waiting });
    const back = replaceBy(start, this.now(), "");
    if (back) notice(`${named(layersTouched(back))} edited here before, and not saved then: back again.`, [undoing("Left what was kept in this browser", this.now(), start)]);
  }

  /** Have at hand what reads drafts, where there are any. */
  protected async wake(): Promise<void> {
    if (draftKeys(this.model.id).length === 0) return;
    const [reader] = await Promise.all([insist(() => import("./readDrafts")), this.versions.wake()]);
    this.reader = reader;
  }

  protected kept = (): ReturnType<typeof readDrafts> => this.reader?.readDrafts(this.model) ?? { drafts: [], broken: [] };

  /** The next of the drafts that wait, once the studio has all else. */
  protected bringBackWaiting(): void {
    const { state, waiting } = syncStore.getState();
    if (waiting > 0 && state === "saved" && !this.closed && planStore.getState().gesture === "none") this.bringBack();
  }

  /** What is saved now of the open plan. */
  private newest = async (): Promise<SavedPlan | null> =>
    this.saved === null ? ((await plansOf(this.model.id)).find(({ plan }) => sameForm(plan.network, this.model)) ?? null) : planOf(this.saved.id);

  protected async look(): Promise<void> {
    const asked = this.saved;
    const [newest] = await Promise.all([this.newest(), this.versions.wake()]);
    if (newest === null && !(await hasModel(this.model.id))) throw removed();
    // Another plan was opened meanwhile: the answer speaks of the one before.
    if (this.closed || asked?.id !== this.saved?.id) return;
    const { state, gone } = syncStore.getState();
    if (gone === "model") return;
    this.heardMeanwhile = this.isBusy();
    if (this.heardMeanwhile) return;
    this.away = false;
    // A plan that was removed and is there has been restored.
    if (gone !== null) this.say("unsaved", { gone: null });
    if (newest && (newest.id !== this.saved?.id || newest.revision > this.saved.revision)) this.meet(newest);
    else if (state === "offline" && this.dirty()) await this.save();
    else if (state === "offline" || gone !== null) this.changed();
  }

  /** Another window saved the plan: put together what it did and what we did. */
  private meet(theirs: SavedPlan): void {
    const mine = this.now();
    const { content, conflicts } = this.versions.meet(mine, contentOf(theirs.plan));
    this.saved = theirs;
    this.name = theirs.name;
    const delta = editElsewhere(content);
    if (delta) notice(labelElsewhere(delta), [undoing("Undid what another window did", content, mine)]);
    if (conflicts.length > 0) this.contradict();
    else if (this.dirty()) this.changed();
    else this.clean();
  }

  private contradict(): void {
    clearTimeout(this.timer);
    const conflicts = this.versions.contradictions(this.now());
    if (conflicts.length > 0) {
      this.say("conflict", { conflict: { conflicts, theirs: this.versions.server, keptAt: this.keptAt } });
      this.keep();
      return;
    }
    this.keptAt = null;
    this.say("unsaved", { conflict: null });
    this.changed();
  }

  private async comeBack(): Promise<void> {
    if (!(await hasModel(this.model.id)) || this.closed) return;
    notice("The network is back: your plan is saved with it again.");
    this.saveAnew();
  }

  protected dirty(): boolean {
    return this.begun && this.versions.differs(this.now());
  }

  protected changed(): void {
    const { state, conflict } = syncStore.getState();
    if (!this.begun || this.quiet || this.closed) return;
    clearTimeout(this.timer);
    if (state === "gone") this.timer = setTimeout(() => this.keep(), SAVE_AFTER_MS);
    else if (conflict) this.contradict();
    else if (this.dirty()) {
      this.say(this.away ? "offline" : "unsaved");
      this.timer = setTimeout(() => void this.save(), SAVE_AFTER_MS);
    } else if (!this.saving) this.clean();
  }

  /** There is nothing to save. */
  private clean(): void {
    clearTimeout(this.timer);
    this.drop(this.saved?.id ?? null);
    this.say("saved", { conflict: null });
    this.bringBackWaiting();
  }

  /** Have every edit saved. Throws a Problem when it cannot be. */
  protected async flush(): Promise<void> {
    await this.saving;
    for (let tries = 0; tries < TRIES && this.dirty() && !this.stuck(); tries += 1) await this.save();
    const { problem } = syncStore.getState();
    if (this.dirty()) throw problem ?? unsaved();
  }

  private stuck = (): boolean => this.closed || ["conflict", "gone", "failed"].includes(syncStore.getState().state);

  /** Do what changes the plan in the studio; nothing else is sent meanwhile, and what is heard waits. */
  protected alone(work: () => Promise<void>): Promise<void> {
    const whole = work().finally(() => {
      this.saving = null;
      if (this.closed) return;
      if (this.heardMeanwhile) void this.heard();
      if (syncStore.getState().state === "saved") this.changed();
    });
    this.saving = whole.catch(() => undefined);
    return whole;
  }

  private save(leaving = false): Promise<void> {
    return this.saving ?? this.alone(() => this.saveNow(leaving));
  }

  private async saveNow(leaving: boolean): Promise<void> {
    clearTimeout(this.timer);
    const content = this.now();
    if (!this.away) this.say("saving");
    const slow = setTimeout(() => this.keep(), SLOW_MS);
    try {
      this.has(await this.send(content, this.saved?.name ?? this.name, leaving), content);
    } catch (error) {
      if (!this.closed) await this.notSaved(asProblem(error));
      return;
    } finally {
      clearTimeout(slow);
    }
    // What was done while this was on its way has nobody else who would save it.
    if (this.closed && this.dirty()) await this.saveNow(true);
  }

  protected send(content: Content, name: string, leaving = false): Promise<SavedPlan> {
    return this.saved === null ? createPlan(this.model, content, name) : updatePlan(this.model, this.saved, content, name, leaving);
  }

  /** The studio has this content now. */
  protected has(saved: SavedPlan, content: Content): void {
    const before = this.saved?.id ?? null;
    this.saved = saved;
    this.name = saved.name;
    this.versions.begin(content);
    this.away = false;
    // What was done since may be nowhere but in the draft.
    if (!this.drafted || !this.dirty()) this.drop(before);
    else {
      this.keep();
      if (before !== saved.id) dropDraft(this.model.id, before);
    }
    this.say("saved");
    this.bringBackWaiting();
  }

  private async notSaved(problem: Problem): Promise<void> {
    this.keep();
    if (problem.status === 404) await this.lost(problem);
    else if (problem.status === 409) {
      const [newest] = await Promise.all([this.newest().catch(() => null), this.versions.wake()]);
      // A gesture is one step: what came in between waits for its end.
      this.heardMeanwhile = planStore.getState().gesture !== "none";
      if (this.closed || this.heardMeanwhile) return;
      if (newest) this.meet(newest);
      else this.wait(problem);
    } else if (isPassing(problem)) this.wait(problem);
    else this.say("failed", { problem });
  }

  private wait(problem: Problem): void {
    this.away = true;
    this.say("offline", { problem });
    if (!this.closed) this.timer = setTimeout(() => void this.heard(), RETRY_AFTER_MS);
  }

  /** The plan is no more, or its network with it. */
  private async lost(problem: Problem): Promise<void> {
    try {
      const gone = (await hasModel(this.model.id)) ? "plan" : "model";
      this.keep(gone === "model");
      this.say("gone", { problem, gone, conflict: null });
    } catch (error) {
      this.wait(asProblem(error));
    }
  }

  /** Save the plan as another one: the studio cannot give it back. */
  private saveAnew(): void {
    const before = this.saved?.id ?? null;
    this.saved = null;
    this.keep(true);
    if (before !== null) dropDraft(this.model.id, before);
    this.say("unsaved", { gone: null });
    void this.save();
  }

  /** Have this browser keep what the studio does not have. */
  protected keep(all = false): boolean {
    if (!all && !this.dirty()) return true;
    const { stored, lost } = keepDraft(this.model, { planId: this.saved?.id ?? null, name: this.name, ...this.versions.draft(this.now()) });
    if (lost.length > 0) notice(`This browser has no room for more. Older edits that were never saved are gone, those of ${listed(lost)}.`);
    this.drafted ||= stored;
    if (!this.closed) syncStore.setState({ stored });
    return stored;
  }

  /** The studio has what this window's draft says. */
  private drop(planId: number | null): void {
    dropDraft(this.model.id, planId);
    this.drafted = false;
  }

  protected say(state: SyncState, more: Partial<Sync> = {}): void {
    if (!this.closed) syncStore.setState({ problem: null, ...more, state, plan: this.saved && infoOf(this.saved) });
  }
}

const NAMED = 3;
const listed = (names: readonly string[]): string => `${names.slice(0, NAMED).join(", ")}${names.length > NAMED ? ` and ${names.length - NAMED} more` : ""}`;
const named = (layers: number): string => (layers > 0 ? plural(layers, "layer") : "Settings");

/** Undo what led from one content to another, whatever was done since. */
const undoing = (label: string, after: Content, before: Content): NoticeAction => ({ label: "Undo", run: () => void insist(() => import("./merge")).then(({ merge }) => replacePlan(merge(after, planStore.getState().content, before).content, label)) });

export const refusal = (code: string, message: string, next_step: string): Problem => new Problem({ code, message, next_step, details: {} }, 0);
const unsaved = (): Problem => refusal("not_saved", "Your edits are not saved yet.", "Wait for the studio, or settle what contradicts first.");
const removed = (): Problem => new Problem({ code: "model_not_found", message: "The network was removed.", next_step: "Add it again.", details: {} }, 404);
