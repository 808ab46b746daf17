"""`./start`: an exported package runs on real SSH hosts, proves itself there, and leaves nothing running."""

import pytest

from tests.export.conftest import Bench

pytestmark = pytest.mark.ssh


def test_the_parts_on_the_hosts_answer_as_the_whole_and_nothing_is_sent_twice(bench: Bench) -> None:
    first = bench.start("--self-test")
    assert first.code == 0, first.err
    assert "the whole network's" in first.err
    second = bench.start("--self-test")
    assert second.code == 0, second.err
    assert "sending" not in second.err
    assert "installing" not in second.err
