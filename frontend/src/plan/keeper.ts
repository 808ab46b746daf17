/** Which of a model's saved plans is under the hand: opens them, makes new ones, and gives them names. */
import { asProblem, type Problem } from "@/api/client";
import type { Model, SavedPlan } from "@/api/types";
import { contentOf, EMPTY, sameForm, type Content } from "./content";
import { forgetDraft, type Draft } from "./drafts";
import { fitTo } from "./fitting";
import { endNotice, notice } from "./notice";
import { createPlan, planOf, plansOf } from "./saved";
import { planStore } from "./store";
import { closeSync, syncStore } from "./sync";
import { refusal, SyncedPlan, TRIES } from "./syncedPlan";

const LOAD_AGAIN_AFTER_MS = 3000;

/** One keeper per opened model; `close` it when another is opened. */
export class PlanKeeper extends SyncedPlan {
  /** Counts which plan was wanted last. */
  private turn = 0;
  private unsubscribe = (): void => undefined;

  /** `wanted` is the saved plan to open; null: the newest. */
  constructor(
    model: Model,
    private wanted: number | null = null,
  ) {
    super(model);
  }

  /** Begin: open the plan, or an empty one where there is none, and save every edit from now on. */
  open(): void {
    this.left = null;
    this.unsubscribe = planStore.subscribe((state, before) => {
      if (state.content !== before.content) this.changed();
      if (state.gesture !== "none" || before.gesture === "none") return;
      if (this.heardMeanwhile) void this.heard();
      this.bringBackWaiting();
    });
    void this.load();
  }

  /** Open another saved plan of the model; edits of the open one are saved first, or kept. Throws a Problem, and then all stays as it is. */
  async switchTo(planId: number): Promise<void> {
    const turn = (this.turn += 1);
    if (planId === this.saved?.id) return;
    const [other] = await Promise.all([planOf(planId), this.wake()]);
    if (other.model_id !== this.model.id) throw elsewhere(other);
    await this.flush().catch(() => this.keep());
    if (this.closed || turn !== this.turn) return;
    if (sameForm(other.plan.network, this.model)) this.take(other);
    else this.say(syncStore.getState().state, { otherForm: other });
  }

  /** Save a content as a new plan, and open it; edits of the open one are saved first, or kept. Returns its id. Throws a Problem. */
  async createFrom(content: Content, name: string): Promise<number> {
    const turn = (this.turn += 1);
    await this.flush().catch(() => this.keep());
    const made = await createPlan(this.model, content, name);
    // What was done meanwhile belongs to the plan in which it was done.
    await this.flush().catch(() => this.keep());
    if (!this.closed && turn === this.turn) this.take(made);
    return made.id;
  }

  /** Give the open plan another name. Throws a Problem. */
  async rename(name: string): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      await this.flush();
      const content = this.now();
      try {
        await this.alone(async () => this.has(await this.send(content, name), content));
        return;
      } catch (error) {
        const problem = asProblem(error);
        if (problem.status !== 409 || tries === TRIES) throw problem;
        await this.look();
      }
    }
  }

  close(): void {
    if (this.dirty()) this.leave();
    this.left = this.now();
    endNotice();
    clearTimeout(this.timer);
    this.unsubscribe();
    closeSync();
  }

  /** Leave the plan that was removed, and open the newest; edits of ours are kept. */
  openNewest = (): void => {
    this.keep();
    this.saved = null;
    this.wanted = null;
    void this.load();
  };

  /** Make a plan of a draft whose own plan is no more. */
  saveDraft = async (draft: Draft): Promise<void> => {
    await this.createFrom(draft.mine, draft.name);
    this.forget(draft.key);
  };

  forget = (key: string): void => {
    forgetDraft(key);
    const { kept, broken } = syncStore.getState();
    syncStore.setState({ kept: kept.filter((draft) => draft.key !== key), broken: broken.filter((draft) => draft.key !== key) });
  };

  /** The plan of another form is not wanted now. */
  stay = (): void => syncStore.setState({ otherForm: null });

  private async load(): Promise<void> {
    this.begun = false;
    this.say("loading", { conflict: null, gone: null, otherForm: null });
    try {
      const [list] = await Promise.all([plansOf(this.model.id), this.wake()]);
      if (this.closed) return;
      // Plans of the model's other forms stay as they are.
      const mine = list.filter(({ plan }) => sameForm(plan.network, this.model));
      const wanted = this.saved?.id ?? this.wanted;
      const found = mine.find(({ id }) => id === wanted) ?? mine[0];
      this.away = false;
      if (found) this.take(found);
      else this.take(null, this.firstFrom(list[0]));
      const known = new Set(list.map(({ id }) => id));
      const { drafts, broken } = this.kept();
      syncStore.setState({ kept: drafts.filter(({ planId }) => planId !== this.saved?.id && (planId === null || !known.has(planId))), broken });
      if (this.heardMeanwhile) void this.heard();
      if (wanted !== null && found?.id !== wanted) this.tellOther(list.find(({ id }) => id === wanted), found);
    } catch (error) {
      this.say("loading", { problem: asProblem(error) });
      if (!this.closed) this.timer = setTimeout(() => void this.load(), LOAD_AGAIN_AFTER_MS);
    }
  }

  private tellOther(other: SavedPlan | undefined, found: SavedPlan | undefined): void {
    if (other) syncStore.setState({ otherForm: other });
    else notice(`The plan of this address was removed. ${found ? `${found.name} is open instead: it was saved last.` : "Here is an empty one."}`);
  }

  private take(plan: SavedPlan | null, content = plan ? contentOf(plan.plan) : EMPTY): void {
    this.wanted = plan?.id ?? null;
    this.begin(content, plan);
  }

  /** Where this form has no plan yet, what fits of another form's is a beginning. */
  private firstFrom(other: SavedPlan | undefined): Content {
    return other ? fitTo(contentOf(other.plan), this.model.layers.map(({ name }) => name)).content : EMPTY;
  }
}

const elsewhere = ({ name }: SavedPlan): Problem => refusal("other_network", `The plan ${name} is of another network.`, "Choose a plan of this one.");
