"""What axe does not see: eight devices' colours, the heat map and the marks have contrast in both themes."""

import re
from pathlib import Path

import pytest

BASE = (Path(__file__).parents[2] / "frontend" / "src" / "styles" / "base.css").read_text()

THEMES = {"light": ":root {", "dark": 'html:root[data-mantine-color-scheme="dark"] {'}

#: WCAG 2.2 AA: of small text, and of what is not text.
TEXT, SHAPE = 4.5, 3.0

Colour = tuple[float, float, float]


def theme(name: str) -> dict[str, str]:
    block = BASE[BASE.index(THEMES[name]) :].split("}", 1)[0]
    return dict(re.findall(r"--ps-([\w-]+): ([^;]+);", block))


def colour(text: str) -> Colour:
    assert re.fullmatch(r"#[0-9a-f]{6}", text), text
    return int(text[1:3], 16) / 255, int(text[3:5], 16) / 255, int(text[5:7], 16) / 255


def mix(a: Colour, share: float, b: Colour) -> Colour:
    """As `color-mix(in srgb, a share, b)`."""
    first, second, third = (x * share + y * (1 - share) for x, y in zip(a, b, strict=True))
    return first, second, third


def contrast(a: Colour, b: Colour) -> float:
    def light(one: Colour) -> float:
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in one)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(a), light(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("slot", range(8))
def test_a_devices_colour_is_seen_and_what_is_written_on_it_is_read(name: str, slot: int) -> None:
    known = theme(name)
    device, text = colour(known[f"d{slot}"]), colour(known["text"])
    card = mix(device, float(known["tint"].rstrip("%")) / 100, colour(known["panel"]))
    assert contrast(device, colour(known["canvas"])) >= SHAPE
    for written in (text, colour(known["dim"]), mix(device, 0.62, text)):
        assert contrast(written, card) >= TEXT


@pytest.mark.parametrize("name", THEMES)
def test_the_hottest_card_is_read_and_differs_from_a_cold_one(name: str) -> None:
    known = theme(name)
    assert contrast(colour(known["text"]), colour(known["heat"])) >= TEXT
    assert contrast(colour(known["heat"]), colour(known["panel"])) >= 2


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize("mark", ["bad", "warn"])
def test_marks_are_seen(name: str, mark: str) -> None:
    known = theme(name)
    assert contrast(colour(known[mark]), colour(known["panel"])) >= SHAPE
