/** Keeps the plan under the hand saved in the studio, and hears when another window saved it. */
import { createStore } from "zustand/vanilla";
import { useStore } from "zustand";
import { asProblem, call, client, type Problem } from "@/api/client";
import type { Model, SavedPlan } from "@/api/types";
import { contentOf, EMPTY, fitting, planDocument, sameContent, sameForm, type Content } from "./content";
import { openPlan, planStore, replacePlan } from "./store";

export type SyncState = "loading" | "saved" | "unsaved" | "saving" | "conflict" | "failed";

interface Sync {
  state: SyncState;
  problem: Problem | null;
}

export const syncStore = createStore<Sync>()(() => ({ state: "loading", problem: null }));
export const useSync = (): Sync => useStore(syncStore);

const SAVE_AFTER_MS = 500;
const RETRY_AFTER_MS = 3000;

const plansOf = (modelId: string): Promise<SavedPlan[]> => call(client.GET("/api/models/{model_id}/plans", { params: { path: { model_id: modelId } } }));

/** One keeper per opened model; `close` it when another is opened. */
export class PlanKeeper {
  private saved: SavedPlan | null = null;
  private lastSaved: Content = EMPTY;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private busy = false;
  private closed = true;
  private unsubscribe = (): void => undefined;

  constructor(private readonly model: Model) {}

  /** Begin: open the newest saved plan, or an empty one, and save every edit from now on. */
  open(): void {
    this.closed = false;
    this.unsubscribe = planStore.subscribe((state, before) => {
      if (state.content !== before.content) this.changed();
    });
    void this.load();
  }

  private async load(): Promise<void> {
    syncStore.setState({ state: "loading", problem: null });
    try {
      const list = await plansOf(this.model.id);
      if (this.closed) return;
      const newest = this.newestFor(list);
      this.saved = newest ?? null;
      this.lastSaved = newest ? contentOf(newest.plan) : this.firstFrom(list[0]);
      openPlan(this.lastSaved);
      syncStore.setState({ state: "saved", problem: null });
    } catch (error) {
      this.fail(error);
      if (!this.closed) this.timer = setTimeout(() => void this.load(), RETRY_AFTER_MS);
    }
  }

  /** The newest plan of the form in which the model is loaded now; those of its other forms stay as they are. */
  private newestFor(list: readonly SavedPlan[]): SavedPlan | undefined {
    return list.find(({ plan }) => sameForm(plan.network, this.model));
  }

  /** Where this form has no plan yet, what fits of another form's is a beginning. */
  private firstFrom(other: SavedPlan | undefined): Content {
    return other ? fitting(contentOf(other.plan), new Set(this.model.layers.map(({ name }) => name))) : EMPTY;
  }

  close(): void {
    if (this.dirty() && syncStore.getState().state !== "conflict") void this.save(true);
    this.closed = true;
    clearTimeout(this.timer);
    this.unsubscribe();
    syncStore.setState({ state: "loading", problem: null });
  }

  /** Somebody saved a plan of this model: take it over, unless edits of our own stand against it. */
  async heard(): Promise<void> {
    if (this.busy || this.closed || syncStore.getState().state === "loading") return;
    try {
      const newest = this.newestFor(await plansOf(this.model.id));
      if (!newest || this.busy || this.closed || (newest.id === this.saved?.id && newest.revision <= this.saved.revision)) return;
      if (this.dirty()) {
        syncStore.setState({ state: "conflict", problem: null });
        return;
      }
      this.saved = newest;
      this.lastSaved = contentOf(newest.plan);
      replacePlan(this.lastSaved, "Edited in another window");
      syncStore.setState({ state: "saved", problem: null });
    } catch {
      // The live connection says so already; the next message brings us here again.
    }
  }

  /** In a conflict: throw our edits away. */
  reload = (): Promise<void> => this.load();

  /** In a conflict: ours stands. */
  overwrite = async (): Promise<void> => {
    try {
      this.saved = this.newestFor(await plansOf(this.model.id)) ?? null;
      await this.save();
    } catch (error) {
      this.fail(error);
    }
  };

  private dirty(): boolean {
    return !sameContent(planStore.getState().content, this.lastSaved);
  }

  private changed(): void {
    const { state } = syncStore.getState();
    if (state === "loading" || state === "conflict") return;
    if (!this.dirty()) return;
    syncStore.setState({ state: "unsaved", problem: null });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.save(), SAVE_AFTER_MS);
  }

  private async save(leaving = false): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    clearTimeout(this.timer);
    const { content } = planStore.getState();
    if (!leaving) syncStore.setState({ state: "saving", problem: null });
    try {
      this.saved = await this.send(content);
      this.lastSaved = content;
      this.busy = false;
      if (this.closed) return;
      syncStore.setState({ state: "saved", problem: null });
      this.changed();
    } catch (error) {
      this.busy = false;
      const problem = asProblem(error);
      if (this.closed) return;
      if (problem.status === 409) syncStore.setState({ state: "conflict", problem });
      else {
        if (problem.status === 404) this.saved = null;
        this.fail(problem);
        this.timer = setTimeout(() => void this.save(), RETRY_AFTER_MS);
      }
    }
  }

  private send(content: Content): Promise<SavedPlan> {
    const name = this.saved?.name ?? "Plan";
    const plan = planDocument(this.model, content);
    if (this.saved === null) {
      return call(client.POST("/api/models/{model_id}/plans", { params: { path: { model_id: this.model.id } }, body: { name, plan } }));
    }
    const body = { name, plan, revision: this.saved.revision };
    return call(client.PUT("/api/plans/{plan_id}", { params: { path: { plan_id: this.saved.id } }, body }));
  }

  private fail(error: unknown): void {
    if (!this.closed) syncStore.setState({ state: "failed", problem: asProblem(error) });
  }
}
