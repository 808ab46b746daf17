"""What a browser that has seen nothing yet loads until there is something to see: it must not grow unseen."""

import pytest
from bench.editor.cases.size import Watch
from playwright.sync_api import Browser, expect

from tests.browser.conftest import open_page
from tests.studio import RunningStudio

pytestmark = pytest.mark.browser

#: A little above what is reached; the bar of `bench.editor` is 300 KB.
MOST_KB = {"/models": 210, "/m/": 298}


@pytest.mark.parametrize("path", ["/models", "/m/"])
def test_the_first_view_does_not_grow(browser: Browser, demo: RunningStudio, path: str) -> None:
    model = demo.services.demo_model_id
    context, page, errors = open_page(browser, demo)
    page.close()
    page = context.new_page()
    watch = Watch(page)
    if path == "/m/":
        page.goto(f"{demo.url}/m/{model}")
        expect(page.get_by_test_id("layer-conv1")).to_be_visible(timeout=60_000)
    else:
        page.goto(f"{demo.url}{path}")
        expect(page.get_by_test_id(f"model-card-{model}")).to_be_visible(timeout=60_000)
    files = watch.end()
    size_kb = sum(file.gzip_bytes for file in files) / 1e3
    largest = ", ".join(f"{file.path} {file.gzip_bytes / 1e3:.0f} KB" for file in files[:6])
    assert size_kb < MOST_KB[path], f"{size_kb:.0f} KB: load what is not seen at first lazily ({largest})"
    context.close()
    assert errors == []
