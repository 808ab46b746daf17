"""The lock, what of it a target needs, and the agent's own wheel."""

import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from partition_studio.fleet.errors import WheelhouseError
from partition_studio.fleet.install.agent_wheel import build_agent_wheel
from partition_studio.fleet.install.lock import NOT_FOR_INFERENCE, Lock, Target, read_agent_lock
from partition_studio.fleet.install.wheelhouse import WheelhouseCache, errors_of_pip
from partition_studio.fleet.progress import ignore_progress, never_cancelled

PYTHONS = [(3, minor, 0) for minor in range(8, 15)]


def names(target: Target) -> dict[str, str]:
    found = {}
    for line in read_agent_lock().requirements_for(target):
        match = re.match(r"([A-Za-z0-9_.-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line)
        assert match, line
        assert match[1] not in found, f"{match[1]} twice for {target.key}"
        found[match[1]] = match[2]
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_has_what_the_agent_needs_once_for_every_python(python: tuple[int, int, int]) -> None:
    found = names(Target(python, "aarch64", (2, 36)))
    assert {"onnxruntime", "numpy", "pyzmq", "msgspec", "websockets"} <= set(found)
    assert not {"pyreadline3", "cffi", "pycparser"} & set(found), "of other systems and interpreters"


@pytest.mark.parametrize("python", PYTHONS)
def test_what_inference_never_imports_is_not_sent(python: tuple[int, int, int]) -> None:
    target = Target(python, "x86_64", (2, 36))
    assert "sympy" in read_agent_lock().text, "the lock names everything; what is left out is left out for devices"
    assert not NOT_FOR_INFERENCE & set(names(target))


def test_an_agent_works_where_nothing_is_there_but_what_is_sent(tmp_path: Path) -> None:
    """Every import of what is left out fails there; the agent's own test still imports all and runs a network."""
    for name in (*NOT_FOR_INFERENCE, "google"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('it was not sent')")
    for name in NOT_FOR_INFERENCE:
        absent = subprocess.run([sys.executable, "-c", f"import {name}"], env=_finds(tmp_path), capture_output=True)
        assert absent.returncode == 1, name
    subprocess.run([sys.executable, "-m", "partition_agent.self_test"], env=_finds(tmp_path), check=True)


def _finds(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_markers_are_evaluated_for_the_target_not_for_this_python() -> None:
    old, new = names(Target((3, 8, 10), "x86_64", (2, 31))), names(Target((3, 13, 1), "x86_64", (2, 41)))
    assert old["numpy"].startswith("1.")
    assert new["numpy"].startswith("2.")


def test_the_lock_names_no_host() -> None:
    text = read_agent_lock().text
    assert "://" not in text
    # No options of pip, which could name one: but for hashes, which belong to the requirement above them.
    assert [line for line in text.splitlines() if line.startswith("-")] == []
    assert set(re.findall(r"--[a-z-]+", text)) == {"--hash"}


def test_platform_tags_go_down_from_the_devices_glibc() -> None:
    tags = Target((3, 11, 2), "aarch64", (2, 31)).platform_tags
    assert tags[0] == "manylinux_2_31_aarch64"
    assert "manylinux_2_17_aarch64" in tags
    assert "manylinux2014_aarch64" in tags
    assert "manylinux_2_32_aarch64" not in tags


def test_the_agents_wheel_has_the_same_bytes_every_time() -> None:
    assert build_agent_wheel() == build_agent_wheel()


def test_the_agents_wheel_installs_with_pip(tmp_path: Path) -> None:
    wheel = build_agent_wheel()
    (tmp_path / wheel.name).write_bytes(wheel.data)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*command, "--target", str(tmp_path / "site"), str(tmp_path / wheel.name)], check=True)
    assert (tmp_path / "site" / "partition_agent" / "protocol.py").is_file()
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        assert not [name for name in archive.namelist() if "__pycache__" in name]


def test_a_package_that_a_system_is_too_old_for_is_named_with_what_to_do() -> None:
    said = (
        "ERROR: Could not find a version that satisfies the requirement onnxruntime==1.31.1 (from versions: 1.2, 1.3)\n"
        "ERROR: No matching distribution found for onnxruntime==1.31.1\n"
    )
    text = errors_of_pip(said, Target((3, 11, 2), "aarch64", (2, 27)))
    assert "onnxruntime 1.31.1 for Python 3.11 with glibc 2.27 on aarch64" in text
    assert "newer system" in text
    assert "another CPython" in text


def test_a_wheel_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    lock = Lock(f"partition-studio-no-such-package==1.0 --hash=sha256:{'0' * 64}\n")
    cache = WheelhouseCache(tmp_path, lock)
    with pytest.raises(WheelhouseError, match="partition-studio-no-such-package"):
        cache.get(Target((3, 11, 2), "x86_64", (2, 36)), ignore_progress, never_cancelled)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
