"""What the studio serves of the browser part."""

import re
from pathlib import Path

from tests.studio import RunningStudio


def test_built_files_travel_packed_and_are_kept_while_the_page_that_names_them_is_not(tmp_path: Path) -> None:
    with RunningStudio(tmp_path / "studio") as studio, studio.http() as http:
        page = http.get("/models")
        assert page.headers["cache-control"] == "no-cache"
        script = re.search(r'src="(/assets/[^"]+\.js)"', page.text)
        assert script is not None
        packed = http.get(script[1], headers={"Accept-Encoding": "gzip"})
        plain = http.get(script[1], headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content
        for answer in (packed, plain):
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["content-type"].startswith("text/javascript")


def test_a_part_of_an_older_page_is_missing_and_no_page(tmp_path: Path) -> None:
    with RunningStudio(tmp_path / "studio") as studio, studio.http() as http:
        answer = http.get("/assets/Editor-0ld.js")
        assert answer.status_code == 404
        assert answer.json()["next_step"] == "Reload the page."
