"""The line through measured watts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.planner.figures.power_model import PowerFitError, PowerPoint, fit_power

LEVELS = [0.0, 0.25, 0.5, 0.75, 1.0]


@settings(deadline=None)
@given(
    idle_w=st.floats(0, 200),
    more_w=st.floats(0, 800),
    levels=st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda u: max(u) - min(u) >= 0.1),
)
def test_a_line_is_recovered_from_its_points(idle_w: float, more_w: float, levels: list[float]) -> None:
    fit = fit_power([PowerPoint(u, idle_w + more_w * u) for u in levels])
    assert fit.idle_w == pytest.approx(idle_w, abs=1e-6)
    assert fit.busy_w == pytest.approx(idle_w + more_w, abs=1e-6)
    assert fit.residual_w == pytest.approx(0, abs=1e-6)


@settings(deadline=None)
@given(watts=st.lists(st.floats(1, 20), min_size=5, max_size=5).map(sorted))
def test_the_residual_is_the_largest_distance_of_a_point(watts: list[float]) -> None:
    points = [PowerPoint(u, w) for u, w in zip(LEVELS, watts, strict=True)]
    try:
        fit = fit_power(points)
    except PowerFitError:
        return
    distances = [abs(p.power_w - fit.power_w(p.utilisation)) for p in points]
    assert fit.residual_w == max(distances)


@settings(deadline=None)
@given(watts=st.lists(st.floats(5, 6), min_size=5, max_size=5), slope_w=st.floats(5, 10))
def test_no_other_line_lies_closer_to_the_points(watts: list[float], slope_w: float) -> None:
    points = [PowerPoint(u, w + slope_w * u) for u, w in zip(LEVELS, watts, strict=True)]
    fit = fit_power(points)

    def squares(idle_w: float, busy_w: float) -> float:
        return sum((p.power_w - idle_w - (busy_w - idle_w) * p.utilisation) ** 2 for p in points)

    least = squares(fit.idle_w, fit.busy_w)
    for idle_w, busy_w in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01), (0.01, 0.01)):
        assert squares(fit.idle_w + idle_w, fit.busy_w + busy_w) >= least


@pytest.mark.parametrize(
    ("points", "word"),
    [
        ([], "two levels"),
        ([(0.5, 3.0)], "two levels"),
        ([(0.5, 3.0), (0.5, 4.0), (0.55, 4.0)], "two levels"),
        ([(0.5, 1.0), (1.0, 4.0)], "when idle"),
        ([(0.0, 5.0), (1.0, 4.0)], "when busy"),
        ([(0.0, float("nan")), (1.0, 4.0)], "cannot be"),
        ([(0.0, -1.0), (1.0, 4.0)], "cannot be"),
        ([(0.0, 1.0), (1.0, 1e9)], "cannot be"),
        ([(0.0, 1.0), (1.5, 4.0)], "cannot be"),
    ],
)
def test_points_that_make_no_model_are_refused(points: list[tuple[float, float]], word: str) -> None:
    with pytest.raises(PowerFitError, match=word):
        fit_power([PowerPoint(u, w) for u, w in points])
