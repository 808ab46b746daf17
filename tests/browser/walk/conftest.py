"""One studio for each part of the walk: three devices with links, and every network that the part asks for."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import open_page
from tests.browser.walk.walking import DEVICES, Walk, spread_anew
from tests.planner_studio import add_devices, add_links
from tests.studio import RunningStudio

Begin = Callable[..., Walk]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with RunningStudio(tmp_path_factory.mktemp("studio")) as running:
        add_devices(running.services, DEVICES)
        places = ("studio", *DEVICES)
        add_links(running.services, {(a, b): 11e6 for a in places for b in places if a != b})
        yield running


@pytest.fixture
def begin(browser: Browser, walked: RunningStudio) -> Begin:
    """Open a network that is spread over the devices."""

    def opened(example: str, **options: object) -> Walk:
        model = spread_anew(walked, example)
        _, page, errors = open_page(browser, walked, **options)
        walk = Walk(page, walked, model, errors)
        walk.open()
        return walk

    return opened
