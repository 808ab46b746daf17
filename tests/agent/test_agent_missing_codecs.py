"""A device whose agent lacks what a codec needs says so before it loads anything."""

from pathlib import Path

import msgspec
import pytest
from tests.agent.rig import AgentProcess, Rig, chain

from partition_agent.protocol import Failed, LinkCodec, Prepared


def test_an_agent_without_lz4_refuses_links_that_need_it_by_name_and_takes_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken" / "lz4"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('no lz4 on this board')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent), prepend=":")
    with AgentProcess(tmp_path / "a") as agent:
        request = Rig(chain("a"), {"a": agent}).request("a")

        def with_codec(name: str) -> object:
            links = tuple(msgspec.structs.replace(link, codecs=(LinkCodec(name),)) for link in request.links)
            return agent.control.call(msgspec.structs.replace(request, links=links))

        refused = with_codec("fp16+lz4")
        assert isinstance(refused, Failed)
        assert refused.code == "missing_codecs"
        assert "a cannot use" in refused.message
        assert "fp16+lz4" in refused.message
        assert isinstance(with_codec("fp16"), Prepared)
