"""`plan auto`, `plan pareto` and `plan predict` on a running studio."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from partition_studio.cli.main import app
from partition_studio.cli.planner_options import size_bytes
from partition_studio.errors import BadInputError, ConflictError, NotFoundError, StudioError
from partition_studio.partition.plan import parse_plan
from partition_studio.schemas import AnswerOut, JobOut, PlanIn, SearchOut
from tests.planner_studio import add_devices, add_links, add_model, add_profile, branches
from tests.studio import RunningStudio, wait_for

DEVICES = ("a", "b", "c")


@dataclass(frozen=True)
class Answer:
    """What a command said, in this process: a process for each would take most of the test's time."""

    code: int
    out: str
    err: str
    error: StudioError | None

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("planner") / "studio") as running:
        services = running.services
        add_devices(services, [*DEVICES, "unmeasured"])
        peers = ("studio", *DEVICES)
        add_links(services, {(one, other): 50e6 for one in peers for other in peers if one != other})
        model_id = services.models.add_example("digits").id
        for number, device in enumerate(DEVICES):
            add_profile(services, model_id, device, speed=1 - 0.2 * number)
        yield running


@pytest.fixture(scope="module")
def first_layer(studio: RunningStudio) -> str:
    model = studio.services.models.all()[0]
    return studio.services.models.network(model.id).layers[0].name


def call(studio: RunningStudio, *words: str | Path) -> Answer:
    env = {"PARTITION_STUDIO_URL": studio.url, "PARTITION_STUDIO_TOKEN": studio.token}
    result = CliRunner().invoke(app, ["plan", *map(str, words)], env=env)
    error = result.exception
    assert error is None or isinstance(error, StudioError | SystemExit), result.output
    return Answer(result.exit_code, result.stdout, result.stderr, error if isinstance(error, StudioError) else None)


def spread_to(studio: RunningStudio, path: Path, *devices: str) -> Path:
    model = next(model for model in studio.services.models.all() if model.example == "digits")
    path.write_text(studio.services.plans.spread(model.id, list(devices)).to_json())
    return path


# --- plan auto --------------------------------------------------------------------------------------------------------


def test_auto_writes_the_best_plan_within_its_limits_and_says_what_is_proved(
    studio: RunningStudio, first_layer: str, tmp_path: Path
) -> None:
    out = tmp_path / "plan.json"
    words = ("--devices", "a,b,c", "--objective", "throughput", "--max-memory", "a=256M", "--pin", f"{first_layer}=b")
    said = call(studio, "auto", "digits", *words, "--strategies", "layers", "--out", out)
    assert said.code == 0 and said.error is None, said
    plan = parse_plan(out.read_bytes())
    assert plan.placement[first_layer] == "b" and set(plan.devices()) <= set(DEVICES)
    assert "proved to be the best among" in said.out and "frames/s" in said.out
    assert "best single device" in said.out and f"wrote {out}" in said.out
    # The same plan is predicted alike, from its file.
    again = call(studio, "predict", "digits", out, "--no-next-move").out
    assert again.splitlines()[0].split(" frames/s")[0] in said.out


def test_auto_as_json_is_one_document_with_the_plan_and_its_proof(studio: RunningStudio) -> None:
    words = ("--devices", "a", "--objective", "max-memory", "--contiguous", "--seconds", "20", "--json")
    said = call(studio, "auto", "digits", *words)
    assert said.code == 0, said
    found = SearchOut.model_validate(said.document)
    assert found.kind == "best" and found.answer is not None
    assert found.answer.objective == "max_memory" and found.answer.proved
    assert found.answer.plan.devices() == ("a",)
    assert found.answer.value == found.answer.prediction.max_memory_bytes
    assert found.answer.space == "one run of layers per device"
    assert found.answer.contiguous_bound == found.answer.bound


def test_one_run_of_layers_goes_with_no_other_strategy(studio: RunningStudio) -> None:
    said = call(studio, "auto", "digits", "--devices", "a,b", "--contiguous", "--strategies", "replicas")
    assert isinstance(said.error, BadInputError) and said.error.code == "contradiction"


def test_auto_without_a_feasible_plan_says_what_stands_in_the_way(studio: RunningStudio) -> None:
    said = call(studio, "auto", "digits", "--devices", "a,b", "--max-memory", "a=10M", "--max-memory", "b=10M")
    assert isinstance(said.error, ConflictError) and said.error.code == "no_feasible_plan"
    obstacles = said.error.details["obstacles"]
    assert isinstance(obstacles, list) and obstacles
    assert all(str(obstacle).split()[0] in said.err for obstacle in obstacles)
    # The same over REST, limit by limit.
    found = newest_search(studio)
    assert found.answer is None and {one.text for one in found.obstacles} == {str(obstacle) for obstacle in obstacles}
    assert any(one.allowed == 10_000_000 for one in found.obstacles)


def test_auto_refuses_pins_that_exclude_each_other_and_unknown_names(studio: RunningStudio, first_layer: str) -> None:
    pin = ("--devices", "a,b", "--pin", f"{first_layer}=b", "--input-on", "a")
    contradiction = call(studio, "auto", "digits", *pin).error
    assert isinstance(contradiction, BadInputError) and contradiction.code == "contradiction"
    assert first_layer in contradiction.message
    unknown = call(studio, "auto", "digits", "--devices", "a,nobody").error
    assert isinstance(unknown, NotFoundError) and "nobody" in unknown.message


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--objective", "beauty"), "beauty"),
        (("--strategies", "magic"), "magic"),
        (("--max-memory", "a=lots"), "lots"),
        (("--max-memory", "a"), "NAME=VALUE"),
        (("--pin", "conv1=a", "--pin", "conv1=b"), "conv1"),
        (("--min-throughput", "-3"), "above 0"),
        (("--seconds", "0"), "above 0"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_asked(
    studio: RunningStudio, words: tuple[str, ...], named: str
) -> None:
    said = call(studio, "auto", "digits", *words)
    assert said.code == 2 and named in said.err


@pytest.mark.parametrize(
    ("text", "size"), [("256M", 256_000_000), ("1.5GiB", 3 * 2**29), ("64mi", 2**26), ("2kb", 2000), ("4096", 4096)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert size_bytes(text, "--max-memory") == size


def test_ctrl_c_stops_a_search_and_keeps_its_best(studio: RunningStudio, tmp_path: Path) -> None:
    model_id = add_model(studio.services, branches(4, 12), "hard")
    for number, device in enumerate(DEVICES):
        add_profile(studio.services, model_id, device, speed=1 - 0.17 * number)
    out = tmp_path / "plan.json"
    words = ["plan", "auto", model_id, "--devices", "a,b,c", "--seconds", "600", "--out", str(out)]
    env = {**os.environ, "PARTITION_STUDIO_URL": studio.url, "PARTITION_STUDIO_TOKEN": studio.token}
    with subprocess.Popen(
        [sys.executable, "-m", "partition_studio.cli.main", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_for(lambda: _has_answer(studio, model_id) or None, what="a first plan")
            process.send_signal(signal.SIGINT)
            told, complained = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, complained
    assert "Traceback" not in complained and "stopped" in complained
    assert f"wrote {out}" in told
    assert set(parse_plan(out.read_bytes()).devices()) <= set(DEVICES)


def newest_search(studio: RunningStudio) -> SearchOut:
    """Return what the search that was begun last has found."""
    job = next(job for job in studio.client.get("/api/jobs", list[JobOut]) if job.kind == "search")
    return studio.client.get(f"/api/models/{job.model_id}/searches/{job.id}", SearchOut)


def _has_answer(studio: RunningStudio, model_id: str) -> bool:
    jobs = studio.client.get("/api/jobs", list[JobOut])
    mine = [job for job in jobs if job.kind == "search" and job.model_id == model_id]
    path = f"/api/models/{model_id}/searches/"
    return any("bound" in job.step and studio.client.get(path + job.id, SearchOut).answer is not None for job in mine)


# --- plan pareto ------------------------------------------------------------------------------------------------------


def figures(point: AnswerOut) -> tuple[float, ...]:
    """Return what a front is about: less of each is better."""
    found = point.prediction
    assert found.max_energy_j is not None
    return -found.throughput_per_s, found.max_energy_j, float(found.max_memory_bytes)


def test_pareto_lists_points_of_which_none_is_worse_than_another_and_writes_their_plans(
    studio: RunningStudio, tmp_path: Path
) -> None:
    folder = tmp_path / "front"
    said = call(studio, "pareto", "digits", "--devices", "a,b,c", "--most", "4", "--out", folder)
    assert said.code == 0 and said.error is None, said
    plans = sorted(folder.iterdir())
    assert 2 <= len(plans) <= 4 and plans[0].name == "point-1.json"
    assert f"wrote {len(plans)} plans to {folder}" in said.out
    for plan in plans:
        assert set(parse_plan(plan.read_bytes()).devices()) <= set(DEVICES)
    assert "largest energy" in said.out and "best single device" in said.out
    found = newest_search(studio)
    assert found.kind == "pareto" and found.answer is None and len(found.front) == len(plans)
    points = [figures(point) for point in found.front]
    assert len(set(points)) == len(points)
    for one in points:
        assert not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in points)


# --- plan predict -----------------------------------------------------------------------------------------------------


def test_predict_shows_devices_links_and_what_would_help(studio: RunningStudio, tmp_path: Path) -> None:
    plan = spread_to(studio, tmp_path / "plan.json", "a")
    said = call(studio, "predict", "digits", plan)
    assert said.code == 0, said
    assert "frames/s" in said.out and "busiest: processor of a" in said.out
    assert "studio -> a" in said.out and "What would help most:" in said.out
    shown = call(studio, "predict", "digits", plan, "--gantt", "6", "--no-next-move").out
    assert "012345" in "".join(sorted(set(shown))) and "simulated" in shown
    assert "What would help" not in shown


def test_predict_takes_a_saved_plan_by_its_name_and_says_what_is_estimated(studio: RunningStudio) -> None:
    model = next(model for model in studio.services.models.all() if model.example == "digits")
    plan = studio.services.plans.spread(model.id, ["unmeasured"])
    studio.services.plans.create(model.id, PlanIn(name="Mine", plan=plan))
    said = call(studio, "predict", "digits", "Mine", "--json")
    assert said.code == 0, said
    assert said.document["prediction"]["estimated"] is True
    assert any("not profiled" in warning for warning in said.document["prediction"]["warnings"])
    missing = call(studio, "predict", "digits", "Nobody's").error
    assert isinstance(missing, NotFoundError) and "Nobody's" in missing.message
