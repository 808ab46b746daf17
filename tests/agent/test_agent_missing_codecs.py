"""An agent that cannot use a codec of a link says so when it is asked to prepare, and not when frames come."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.by_hand import model, spec
from tests.agent.rig import AgentProcess

from partition_agent.protocol import (
    SINK,
    SOURCE,
    STUDIO_PEER,
    End,
    Failed,
    LinkCodec,
    LinkSpec,
    Prepare,
    Prepared,
    Result,
    StageSpec,
)


@pytest.fixture
def agent_without_lz4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentProcess]:
    package = tmp_path / "first" / "lz4"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('no such library')\n")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    with AgentProcess(tmp_path / "agent") as running:
        yield running


def prepare(agent: AgentProcess, codec: str) -> Result:
    x, y = spec("x"), spec("y")
    links = (
        LinkSpec("in", SOURCE, "s", STUDIO_PEER, "pi", (x,)),
        LinkSpec("out", "s", SINK, "pi", STUDIO_PEER, (y,), codecs=(LinkCodec(codec),)),
    )
    stage = StageSpec("s", agent.push(model("x", "y", 1.0)), (x,), (y,), 1)
    return agent.control.call(Prepare("d", 1, "pi", "127.0.0.1", (stage,), links))


def test_codecs_that_an_agent_lacks_are_told_of_before_anything_is_loaded(agent_without_lz4: AgentProcess) -> None:
    lacking = prepare(agent_without_lz4, "int8+lz4")
    assert isinstance(lacking, Failed), lacking
    assert lacking.code == "missing_codecs"
    assert all(word in lacking.message for word in ("pi cannot", "int8+lz4", "package lz4", "no such library"))
    unknown = prepare(agent_without_lz4, "brotli")
    assert isinstance(unknown, Failed), unknown
    assert unknown.code == "missing_codecs"
    assert "brotli: this agent does not know it" in unknown.message
    # What needs no package, or another one, is there; nothing of the refused ones is in the way.
    for codec in ("clip4+rle", "fp16+zstd"):
        assert isinstance(prepare(agent_without_lz4, codec), Prepared)
        agent_without_lz4.control.call(End("d"))
