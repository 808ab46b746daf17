"""axe-core in a page: what it finds serious fails a test."""

import json
from pathlib import Path

from playwright.sync_api import Page, expect

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

RUN = """
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  violations.map(({ id, impact, nodes }) => ({
    id, impact, nodes: nodes.slice(0, 4).map(({ target, failureSummary }) => `${target.join(" ")}: ${failureSummary}`),
  })))
"""


#: A colour on its way to another one has neither's contrast.
AT_REST = """
Promise.all(document.getAnimations().filter(({ effect }) => effect?.getComputedTiming().endTime < 5000)
  .map(({ finished }) => finished.catch(() => null))).then(() => null)
"""


def assert_accessible_in_both_themes(page: Page) -> None:
    """Raise AssertionError with every serious violation in dark and in light; light stays."""
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        assert_accessible(page)


def assert_accessible(page: Page) -> None:
    """Raise AssertionError with every serious violation of what the page shows now."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text())
    page.evaluate(AT_REST)
    found = page.evaluate(RUN)
    assert isinstance(found, list)
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)
