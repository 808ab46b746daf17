"""Codecs of the plan that a search has found: tried on frames at its cuts, and kept where its prediction is better."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from partition_studio.partition.codecs import OnCut, crosses_devices
from partition_studio.partition.partition import partition
from partition_studio.partition.plan import CodecChoice
from partition_studio.partition.run_stages import PartNotRunnableError
from partition_studio.partition.stages import StageGraph
from partition_studio.planner.search.answer import cost_of, plans_of
from partition_studio.planner.search.bounds import lower_bounds
from partition_studio.planner.search.problem.pose import pose
from partition_studio.planner.search.question import Question
from partition_studio.planner.search.strategies.codecs import AUTO_NOTE, UNKNOWN_NOTE, usable_codecs
from partition_studio.planner.search.strategies.judge import Judge
from partition_studio.planner.search.text import share_text
from partition_studio.schemas import AnswerOut
from partition_studio.searches.out import prediction_out
from partition_studio.services.codecs import CodecService

CHOSEN_NOTE = (
    "Codecs were chosen by what they make of frames that were tried. The bound is of plans with any codecs, of which "
    "little is known."
)
NO_HELP_NOTE = "Codecs were tried on frames: none that may be used makes this plan better."

#: An answer that is better by less than this is none.
_NEWS = 1e-9


def with_tried_codecs(
    answer: AnswerOut,
    question: Question,
    model_id: str,
    codecs: CodecService,
    cancelled: Callable[[], bool],
    on_step: Callable[[str], None],
) -> AnswerOut:
    """Return an answer whose plan says by name which codecs it uses, and is predicted with what these make of frames.

    The answer as it is where none may be used. Raises OperationCancelledError.
    """
    usable = usable_codecs(question.limits)
    plain = answer.plan.model_copy(update={"codecs": []})
    graph = partition(question.network, plain).graph
    if not usable or not any(crosses_devices(graph, cut) for cut in graph.cuts):
        return answer
    asked = plain.model_copy(update={"codecs": [CodecChoice(codec="auto")], "max_change": question.limits.max_change})
    judge = Judge(question)
    try:
        made = partition(question.network, asked)
        plan, found = codecs.resolve(model_id, asked, made, among=usable, cancelled=cancelled, on_step=on_step)
    except PartNotRunnableError as error:
        return answer.model_copy(update={"notes": [*answer.notes, f"Codecs could not be tried: {error.message}"]})
    before = judge.judge(plain)
    judged = judge.judge(plan, found.codecs, bytes_of_tensors(graph, found.wire_bytes))
    notes = [note for note in answer.notes if note not in (AUTO_NOTE, UNKNOWN_NOTE.format(names=", ".join(usable)))]
    assert before is not None
    if judged is None or not judged.keeps_limits or judged.cost >= before.cost * (1 - _NEWS):
        change = {"plan": plain, "prediction": prediction_out(before.prediction), "notes": [*notes, NO_HELP_NOTE]}
        return answer.model_copy(update=change)
    value = cost_of(question.objective, judged.cost)
    # What was proved of tensors that travel as they are says nothing of plans with codecs.
    bound = cost_of(question.objective, min(lower_bounds(pose(question)).cost(question.objective), judged.cost))
    return answer.model_copy(
        update={
            "plan": plan,
            "prediction": prediction_out(judged.prediction),
            "value": value,
            "bound": bound,
            "gap": _gap(question, value, bound),
            "proved": bound == value,
            "contiguous_bound": None,
            "space": f"{plans_of(question.limits)}, with codecs",
            "notes": [*notes, CHOSEN_NOTE, *_change_note(found.change)],
        }
    )


def bytes_of_tensors(graph: StageGraph, by_cut: Mapping[str, int]) -> Mapping[OnCut, int]:
    """Return the bytes of each tensor from those of whole cuts: only their sum counts, they travel as one message."""
    found: dict[OnCut, int] = {}
    for cut in graph.cuts:
        size, total = graph.cut_bytes(cut), by_cut.get(cut.id)
        if total is not None and size > 0:
            for tensor in cut.tensors:
                found[cut.id, tensor] = round(total * graph.tensors[tensor].size_bytes / size)
    return MappingProxyType(found)


def _change_note(change: float | None) -> tuple[str, ...]:
    return (f"They change the outputs by {share_text(change)} of their largest value.",) if change else ()


def _gap(question: Question, value: float, bound: float) -> float:
    return bound / value - 1 if question.objective == "throughput" else 1 - bound / value
