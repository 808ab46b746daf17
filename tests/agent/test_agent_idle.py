"""An agent that waits is small: it has only in memory what it needs to be asked, and knows what is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agent.rig import AgentProcess, wait_until

import partition_agent
from partition_agent import system
from partition_agent.protocol import AgentInfo, CancelJob, Done, End, Hello, Reach, Reached

#: Parts of the names of libraries' files.
_LIBRARIES = ("numpy", "onnxruntime", "zmq", "zstandard", "lz4")


def loaded(pid: int) -> set[str]:
    """The large libraries that a process has in memory."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {name for name in _LIBRARIES if f"/{name}" in maps}


def test_an_agent_that_waits_has_none_of_the_large_libraries_in_memory(tmp_path: Path) -> None:
    with AgentProcess(tmp_path / "agent") as agent:
        info = agent.control.call(Hello())
        assert isinstance(info, AgentInfo) and info.onnxruntime_version[0].isdigit()
        agent.control.telemetry()
        assert agent.control.call(Reach(())) == Reached({})
        assert agent.control.call(CancelJob("none")) == Done()
        assert loaded(agent.process.pid) == set()
        # What needs them brings them.
        assert agent.control.call(End("none", keep=())) == Done()
        wait_until(lambda: {"numpy", "zmq"} <= loaded(agent.process.pid), "the libraries")


def ask(code: str, *folders: Path) -> str:
    """What a Python says that finds distributions in these folders first."""
    agents = Path(partition_agent.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*folders, agents)))}
    done = subprocess.run(
        [sys.executable, "-c", f"from partition_agent import installed\nfrom pathlib import Path\n{code}"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def distribution(folder: Path, name: str, tag: str) -> Path:
    metadata = folder / f"{name}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: cp311-cp311-{tag}\n")
    (metadata / "RECORD").write_text("")
    return folder


@pytest.mark.parametrize("name", ["onnxruntime_gpu", "onnxruntime_openvino", "onnxruntime"])
def test_the_runtime_is_known_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    folder = distribution(tmp_path, f"{name}-77.1", "linux_aarch64")
    distribution(tmp_path, "onnxruntime_extensions-5.0", "linux_aarch64")
    assert ask("print(installed.onnxruntime_version())", folder) == "77.1"


def test_a_build_of_its_own_is_asked_for_its_providers_once(tmp_path: Path) -> None:
    import onnxruntime

    folder = distribution(tmp_path / "packages", "onnxruntime_gpu-77.1", "linux_aarch64")
    kept = tmp_path / "providers.json"
    code = f"print(' '.join(installed.Providers(Path({str(kept)!r})).get()))"
    assert ask(code, folder).split() == list(onnxruntime.get_available_providers())
    record = json.loads(kept.read_text())
    kept.write_text(json.dumps({**record, "providers": ["Kept"]}))
    assert ask(code, folder) == "Kept"
    (folder / "onnxruntime_gpu-77.1.dist-info/RECORD").write_text("another build")
    assert "CPUExecutionProvider" in ask(code, folder)


def test_the_build_for_any_linux_is_known_to_compute_on_the_processor(tmp_path: Path) -> None:
    folder = distribution(tmp_path / "packages", "onnxruntime-77.1", "manylinux_2_28_aarch64")
    kept = tmp_path / "providers.json"
    assert ask(f"print(installed.Providers(Path({str(kept)!r})).get())", folder) == "('CPUExecutionProvider',)"
    assert not kept.exists()


def test_processors_that_compute_differently_are_told_apart(tmp_path: Path) -> None:
    def identity(text: str) -> str:
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc/cpuinfo").write_text(text)
        return system.processor_identity(tmp_path)

    one = identity("processor : 0\nmodel name : A\nflags : avx avx2\ncpu MHz : 1000\n")
    assert identity("processor : 0\nmodel name : A\nflags : avx avx2\ncpu MHz : 2000\n") == one
    assert identity("processor : 0\nmodel name : A\nflags : avx avx2 avx512f\ncpu MHz : 1000\n") != one
    assert identity("processor : 0\nFeatures : fp asimd\nCPU part : 0xd08\n") not in (one, identity(""))


def test_what_a_process_maps_of_a_file_is_told(tmp_path: Path) -> None:
    text = (
        "7f00-7f10 r--p 00000000 00:01 5                          /data/weights.bin\nRss:     40 kB\nPss: 20 kB\n"
        "7f10-7f20 rw-p 00000000 00:00 0 \nRss:     99 kB\n"
        "7f20-7f30 r--p 00000000 00:01 5                          /data/weights.bin\nRss:      2 kB\n"
    )
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/smaps").write_text(text)
    assert system.mapped_bytes(Path("/data/weights.bin"), tmp_path) == 42 * 1024
    assert system.mapped_bytes(Path("/data/other.bin"), tmp_path) == 0
