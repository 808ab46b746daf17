/** Suggest: ask for the best plan; what is found fills the graph as one step that can be undone. */
import { Button } from "@mantine/core";
import { IconWand } from "@tabler/icons-react";
import { useEffect, useRef, type ReactNode } from "react";
import type { Device, Model } from "@/api/types";
import { plural } from "@/app/format";
import { ProblemCard } from "@/app/ProblemCard";
import { flash } from "@/editor/view";
import type { Network } from "@/graph/network";
import { sameContent } from "@/plan/content";
import { endPreview, showPreview } from "@/plan/preview";
import { planStore, replacePlan, usePlan } from "@/plan/store";
import { SaveAnswer } from "@/plans/SaveAnswer";
import { takenOver } from "./applied";
import { ProfileFirst } from "./ProfileFirst";
import { ObjectiveField, QuestionFields, SecondsField } from "./QuestionFields";
import { allowedStrategies, chosenDevices, plannable, withReplicas } from "./question";
import { Proof, SearchState, useElapsed } from "./SearchState";
import { changeForm, plannerStore, usePlanner } from "./store";
import type { Answer, Baseline } from "./types";
import { endedSearch, useAsking, type Searching } from "./useSearch";
import { besidesEstimates, capitalised, changeWords, formatValue, sharedIsBetter } from "./words";

/** Open a plan of the planner's: one step that can be undone. */
export function openAnswer({ plan, prediction }: Pick<Answer, "plan" | "prediction">, what: string): void {
  endPreview();
  const figures = formatValue("throughput", prediction.throughput_per_s);
  const { layers } = replacePlan(takenOver(planStore.getState().content, plan), `${what}: ${figures}`);
  flash("", layers === 0 ? `${what}: the plan is already so` : `${what}: ${plural(layers, "layer")} changed, ${figures} predicted`);
}

/** When the search that was started here has ended, its answer fills the graph, unless the plan was edited meanwhile. */
export function useFilling(model: Model, { job, going }: Searching): void {
  const filling = usePlanner((state) => state.filling);
  const ended = job !== null && !going && filling?.job === job.id ? job.id : null;
  useEffect(() => {
    if (ended === null) return;
    let left = false;
    endedSearch(model.id, ended).then(
      ({ answer }) => {
        const { filling: still } = plannerStore.getState();
        if (left || still?.job !== ended) return;
        plannerStore.setState({ filling: null });
        if (answer && sameContent(planStore.getState().content, still.content)) openAnswer(answer, "Suggested plan");
      },
      // Another search may be the one that fills the graph by now.
      () => plannerStore.setState(({ filling: still }) => (still?.job === ended ? { filling: null } : {})),
    );
    return () => {
      left = true;
    };
  }, [model.id, ended]);
}

interface BestPlanProps {
  model: Model;
  network: Network;
  devices: readonly Device[];
  searching: Searching;
}

export function BestPlan({ model, network, devices, searching }: BestPlanProps) {
  const form = usePlanner((state) => state.form);
  const { sending, refused, ask } = useAsking(model, "best");
  const result = useRef<HTMLDivElement>(null);
  useEffect(() => endPreview, []);
  const { going, search } = searching;
  const answer = search?.answer ?? null;
  const names = plannable(devices);
  return (
    <div className="planner-tab">
      <div className="planner-result" ref={result}>
        {refused && <ProblemCard problem={refused} />}
        {!refused && <SearchState searching={searching} found={null} />}
        {answer && (
          <Found model={model} answer={answer} baselines={search?.baselines ?? []} searching={searching}>
            {!going && sharedIsBetter(answer, search?.baselines ?? []) && !allowedStrategies(form).includes("replicas") && (
              <p className="planner-hint">
                The whole network on every device gives more frames per second.{" "}
                <button
                  type="button"
                  className="link"
                  onClick={() => {
                    const wider = withReplicas(form);
                    changeForm(wider);
                    ask(wider, names);
                  }}
                  data-testid="allow-replicas"
                >
                  {form.contiguous ? "Allow replicas and several runs per device, and search again" : "Allow replicas, and search again"}
                </button>
              </p>
            )}
          </Found>
        )}
      </div>
      <form
        className="planner-form"
        onSubmit={(event) => {
          event.preventDefault();
          ask(form, names);
          result.current?.scrollIntoView({ block: "start" });
        }}
      >
        <ObjectiveField />
        <QuestionFields devices={devices} network={network} />
        <footer className="planner-start">
          <SecondsField />
          <Button size="xs" type="submit" leftSection={<IconWand size={14} />} loading={sending} disabled={going || chosenDevices(form, names).length === 0} data-testid="search-start">
            Find the best plan
          </Button>
        </footer>
      </form>
    </div>
  );
}

interface FoundProps {
  model: Model;
  answer: Answer;
  baselines: readonly Baseline[];
  searching: Searching;
  /** What could be done for a better one. */
  children: ReactNode;
}

function Found({ model, answer, baselines, searching, children }: FoundProps) {
  const { job, going, search, samples } = searching;
  const elapsed_s = useElapsed(job, going, search) ?? 0;
  const open = usePlan((content) => sameContent(takenOver(content, answer.plan), content));
  const look = () => showPreview(takenOver(planStore.getState().content, answer.plan), going ? "Best so far" : "Suggested plan");
  return (
    <section data-testid="found" aria-label="What was found">
      <Proof answer={answer} going={going} samples={samples} elapsed_s={elapsed_s} />
      <div className="planner-buttons">
        <Button size="compact-xs" variant={open || going ? "default" : "filled"} disabled={open} onPointerEnter={look} onPointerLeave={endPreview} onFocus={look} onBlur={endPreview} onClick={() => openAnswer(answer, "Suggested plan")} data-testid="use-answer">
          {open ? "The graph shows it" : going ? "Use what is best so far" : "Fill the graph with it"}
        </Button>
        <SaveAnswer model={model} answer={answer} what="Suggested" />
      </div>
      {baselines.length > 0 && (
        <dl className="planner-baselines" data-testid="baselines">
          {baselines.map(({ name, plan, prediction }) => (
            <div key={name}>
              <dt>
                <button type="button" className="link" title="Open this plan" onClick={() => openAnswer({ plan, prediction }, capitalised(name))}>
                  {capitalised(name)}
                </button>
              </dt>
              <dd>
                {formatValue("throughput", prediction.throughput_per_s)}
                <small>{changeWords(prediction.throughput_per_s, answer.prediction.throughput_per_s) ?? "as many"} with this plan</small>
              </dd>
            </div>
          ))}
        </dl>
      )}
      {children}
      {answer.prediction.estimated && <ProfileFirst model={model} prediction={answer.prediction} />}
      <ul className="planner-notes">
        <li>
          Searched: {answer.space}.{answer.method !== answer.space && ` Found among: ${answer.method}.`}
        </li>
        {besidesEstimates(answer.notes).map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </section>
  );
}
