"""200 selected layers go to another device: how soon the answer is on the screen.

Of a network of 1,500 layers, on three profiled devices. They are dragged onto the device, where the answer is shown
while they are still in the hand; let go, which makes it an edit; and sent there by the device's number. The clock
begins at the event. `figures` are layers, work, memory and cuts on the device's card, known to the page; `prediction`
is throughput and latency, which the studio knows; `answer` is the note that tells old beside new.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping

from tests.planner_studio import only_plan

from bench.editor.bench import DEVICES, LONG, Bar, Bench, Cell, Table, row
from bench.editor.browser import Tab
from bench.editor.cases.frames import open_long, show_middle

NAME = "drop"

_LAYERS = 200
#: As high as for all cards: none scrolls under the hand.
_VIEWPORT = (1280, 1000)
_AFTER_FRAMES_MS = 100.0

_FIGURES = {"figures": f"[data-testid='device-layers-{DEVICES[2]}']"}
_PREDICTION = {"prediction": "[data-testid='plan-figures'][data-settled='true'] dd b"}
_ANSWER = {"answer": "[data-testid='answer'][data-settled='true']"}

#: By what is done: the event that begins it, and what is watched.
_STEPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "onto the device": ("pointermove", _PREDICTION),
    "let go": ("pointerup", _ANSWER),
    "by its number": ("keydown", {**_FIGURES, **_PREDICTION, **_ANSWER}),
}

Answers = dict[str, list[dict[str, float]]]


def measure(bench: Bench) -> Iterator[Table]:
    """200 layers of 1,500 given to another device, until the answer is on the screen."""
    model = bench.model(LONG)
    _arrange(bench, model)
    answers: Answers = {step: [] for step in _STEPS}
    with open_long(bench, viewport=_VIEWPORT) as tab:
        tab.page.get_by_test_id("plan-figures").wait_for()
        tab.page.get_by_test_id("open-all").click()
        tab.rest()
        show_middle(tab)
        for _ in range(bench.rounds):
            _drop(tab, answers)
            _undo(tab)
            answers["by its number"].append(_watched(tab, "by its number", lambda: tab.page.keyboard.press("3")))
            _undo(tab)
    rows: list[dict[str, Cell]] = []
    bars: list[dict[str, Cell]] = []
    for step, (_, watched) in _STEPS.items():
        for name in ("first frame", "second frame", *watched):
            times = [one[name] for one in answers[step]]
            rows.append(
                {"": step, "ms to": name, "median": statistics.median(times), "least": min(times), "most": max(times)}
            )
        for name in watched:
            after = [max(0.0, one[name] - one["second frame"]) for one in answers[step]]
            bars.append(row(Bar(f"{step}: {name}, after two frames", after, _AFTER_FRAMES_MS, "ms")))
    yield Table(NAME, f"from the event, {bench.rounds} rounds", rows)
    yield Table(NAME, "bars", bars)


def _arrange(bench: Bench, model: str) -> None:
    """Have exactly so many layers, one after another, on the second device."""
    services = bench.studio.services
    layers = [layer.name for layer in services.models.show(model).layers]
    begin = (len(layers) - _LAYERS) // 2
    where = [DEVICES[0]] * begin + [DEVICES[1]] * _LAYERS + [DEVICES[2]] * (len(layers) - begin - _LAYERS)
    plan = services.plans.spread(model, list(DEVICES)).model_copy(
        update={"placement": dict(zip(layers, where, strict=True))}
    )
    only_plan(services, model, plan, "Drop")


def _undo(tab: Tab) -> None:
    tab.page.get_by_test_id("undo").click()
    tab.page.locator(f"[data-testid='device-layers-{DEVICES[1]}']", has_text=str(_LAYERS)).wait_for()
    close = tab.page.get_by_role("button", name="Close the answer")
    if close.count():
        close.click()
    # Until the studio has answered and saved: the next begins with nothing on its way.
    tab.rest(1500)


def _drop(tab: Tab, answers: Answers) -> None:
    page = tab.page
    page.get_by_test_id(f"device-card-{DEVICES[1]}").get_by_role("button", name=f"{DEVICES[1]}", exact=True).click()
    tab.rest()
    card = page.locator(".card.is-selected").first.bounding_box()
    target = page.get_by_test_id(f"device-card-{DEVICES[2]}").get_by_role("button", name=DEVICES[2], exact=True)
    name = target.bounding_box()
    assert card is not None
    assert name is not None
    page.mouse.move(card["x"] + card["width"] / 2, card["y"] + card["height"] / 2)
    page.mouse.down()
    # In the hand, but over no device yet.
    page.mouse.move(card["x"] + card["width"] / 2 + 30, card["y"] + card["height"] / 2, steps=4)
    tab.rest()
    x, y = name["x"] + name["width"] / 2, name["y"] + name["height"] / 2
    answers["onto the device"].append(_watched(tab, "onto the device", lambda: page.mouse.move(x, y)))
    tab.rest()
    answers["let go"].append(_watched(tab, "let go", page.mouse.up))


def _watched(tab: Tab, step: str, act: Callable[[], None]) -> dict[str, float]:
    event, selectors = _STEPS[step]
    tab.probe("watchAnswer", {"from": event, "selectors": selectors})
    act()
    answer = tab.probe("told", "answer")
    return {"first frame": answer["frames"][0], "second frame": answer["frames"][1], **answer["changed"]}
