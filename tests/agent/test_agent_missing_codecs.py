"""A device whose agent lacks what a codec needs says so before it loads anything."""

import os
from pathlib import Path

import msgspec
import pytest
from tests.agent.planes import link
from tests.agent.rig import AgentProcess, Rig, chain

from partition_agent.deployments import RefusedError
from partition_agent.protocol import STUDIO_PEER, Failed, LinkCodec, Prepare, Prepared, StageSpec, TensorSpec
from partition_agent.standalone import AgentRole, BadRequestError, DoorRole
from partition_agent.standalone_stream import Stream


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


def test_an_agent_and_a_door_of_an_exported_package_refuse_what_they_cannot_decode(tmp_path: Path) -> None:
    """What an agent can use is asked by whoever prepares it, not by the studio's way of talking with it alone."""
    spec = link((1, 8), codecs=[LinkCodec("quipu")])
    stage = StageSpec("b", "0" * 64, spec.tensors, (TensorSpec("y", "float32", (1, 8)),))
    prepare = Prepare("d", 1, "two", "127.0.0.1", (stage,), (spec,))
    door = {"op": "open", "deployment": "d", "epoch": 1, "inputs": [], "outputs": []}
    with open(os.devnull, "r+b") as nowhere:
        stream = Stream(nowhere.fileno(), nowhere.fileno())
        with pytest.raises(RefusedError) as refused:
            AgentRole(stream, tmp_path).handle({"op": "prepare", "prepare": msgspec.to_builtins(prepare)}, b"")
        spec = msgspec.structs.replace(spec, producer_device=STUDIO_PEER)
        with pytest.raises(BadRequestError, match="this host cannot use the codecs of its links"):
            DoorRole(stream).handle({**door, "links": msgspec.to_builtins([spec])}, b"")
    assert refused.value.failed.code == "missing_codecs"
