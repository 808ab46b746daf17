"""Figures in texts: readable, in a unit that fits, and never rounded to another figure's unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partition_studio.planner.search.text import energy_text, number_text, rate_text, share_text, time_text, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e6, "1,000,000"), (123456.0, "123,500"), (12.0, "12"), (0.00012345, "0.0001234"), (0.0, "0"), (99.996, "100")],
)
def test_numbers_are_written_out(value: float, text: str) -> None:
    assert number_text(value, 4) == text


@given(value=st.floats(1e-12, 1e12), digits=st.integers(1, 6))
def test_a_number_is_as_exact_as_its_digits(value: float, digits: int) -> None:
    text = number_text(value, digits)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.5000001 * 10 ** (1 - digits))


def test_figures_have_the_unit_that_fits() -> None:
    assert [time_text(s) for s in (2.5, 0.9996, 0.0123, 4.2e-6, 1234.0)] == [
        "2.5 s",
        "1 s",
        "12.3 ms",
        "4.2 µs",
        "1,230 s",
    ]
    assert [energy_text(j) for j in (None, 3.0, 0.0021)] == ["-", "3 J", "2.1 mJ"]
    assert [share_text(s) for s in (0.5, 0.0123, 0.0)] == ["50 %", "1.2 %", "0 %"]
    assert value_text("throughput", 1234567.0) == rate_text(1234567.0) == "1,235,000 frames/s"
    assert value_text("max_memory", 2e6) == "2.00 MB"
