/** A studio for tests of the keeper: it answers the requests for plans, as slowly as a test wants. */
import type { Model, Plan, SavedPlan } from "@/api/types";
import { planDocument, type Content } from "./content";

const problem = (status: number, code: string): Response => Response.json({ code, message: code, next_step: "", details: {} }, { status });

export class FakeStudio {
  readonly plans = new Map<number, SavedPlan>();
  readonly removed = new Map<number, SavedPlan>();
  /** What was asked for, as `PUT /api/plans/1`. */
  readonly log: string[] = [];
  away = false;
  private ids = 0;
  private readonly held: { pattern: RegExp; gate: Promise<void> }[] = [];

  constructor(private readonly model: Model) {}

  /** Have the next request like this wait; call what is returned to let it through. */
  hold(pattern: RegExp): () => void {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    this.held.push({ pattern, gate });
    return open;
  }

  save(content: Content, name = "Plan", id?: number): SavedPlan {
    const old = id === undefined ? undefined : this.plans.get(id);
    const plan: SavedPlan = { id: id ?? (this.ids += 1), model_id: this.model.id, name, revision: (old?.revision ?? 0) + 1, updated_at: "2026-01-01T00:00:00Z", plan: planDocument(this.model, content) };
    this.plans.set(plan.id, plan);
    return plan;
  }

  remove(id: number): void {
    const plan = this.plans.get(id);
    if (plan) this.removed.set(id, plan);
    this.plans.delete(id);
  }

  fetch = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const line = `${request.method} ${pathname}`;
    this.log.push(line);
    const body = request.method === "POST" || request.method === "PUT" ? await request.text() : "";
    const place = this.held.findIndex(({ pattern }) => pattern.test(line));
    if (place >= 0) await this.held.splice(place, 1)[0]?.gate;
    if (this.away) throw new TypeError("no route");
    return this.answer(request.method, pathname, body === "" ? null : (JSON.parse(body) as { name: string; plan: Plan; revision?: number }));
  };

  private answer(method: string, path: string, body: { name: string; plan: Plan; revision?: number } | null): Response {
    if (path === "/api/models") return Response.json([{ id: this.model.id }]);
    if (path.endsWith("/plans")) {
      if (method === "GET") return Response.json([...this.plans.values()].reverse());
      const made = { ...this.save({ placement: {}, shards: [], rest: {} as Content["rest"] }, body?.name), plan: body?.plan as Plan };
      this.plans.set(made.id, made);
      return Response.json(made, { status: 201 });
    }
    const id = Number(/\/plans\/(\d+)/.exec(path)?.[1]);
    if (path.endsWith("/restore")) {
      const back = this.removed.get(id) ?? this.plans.get(id);
      if (!back) return problem(404, "not_found");
      this.plans.set(id, back);
      return Response.json(back);
    }
    const plan = this.plans.get(id);
    if (!plan) return problem(404, "not_found");
    if (method === "GET") return Response.json(plan);
    if (body?.revision !== plan.revision) return problem(409, "plan_conflict");
    const saved = { ...plan, name: body.name, plan: body.plan, revision: plan.revision + 1 };
    this.plans.set(id, saved);
    return Response.json(saved);
  }
}
