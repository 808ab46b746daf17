"""`./start`: an exported package runs on real SSH hosts, proves itself there, and leaves nothing running."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import psutil
import pytest

from partition_studio.graph.examples import example
from partition_studio.graph.frames import random_frame
from partition_studio.graph.load import load_network, original_model
from partition_studio.graph.runtime import run_model
from tests.export.conftest import DEVICES, Bench, wait_for, write_config, write_known_hosts
from tests.sshd import SshServer

pytestmark = pytest.mark.ssh

MODEL = example("digits").path
FOREVER = ("--frames", "10000000")


def old_python() -> str | None:
    kept = sorted(map(str, Path.home().glob(".pyenv/versions/3.8.*/bin/python3.8")))
    for program in (*kept, "python3.8"):
        with contextlib.suppress(OSError):
            if subprocess.run([program, "-c", ""], capture_output=True).returncode == 0:
                return program
    return None


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = load_network(MODEL)
    path = tmp_path_factory.mktemp("frames") / "three.npz"
    several = [random_frame(network.inputs, seed) for seed in range(3)]
    np.savez(path, **{name: np.stack([frame[name] for frame in several]) for name in network.inputs})  # type: ignore[arg-type]
    return path


def until_running(started: "subprocess.Popen[str]") -> str:
    """Read what it says until the recorded frame was proven: from then on frames are under way."""
    assert started.stderr is not None
    said = ""
    for line in started.stderr:
        said += line
        if "the recorded frame" in line:
            return said
    raise AssertionError(said)


def words_of(process: psutil.Process) -> list[str]:
    words: list[str] = process.info["cmdline"]
    return words


def ended(started: "subprocess.Popen[str]") -> str:
    _, said = started.communicate(timeout=60)
    return said


def test_the_parts_on_the_hosts_answer_as_the_whole_and_nothing_is_sent_twice(bench: Bench) -> None:
    first = bench.start("--self-test")
    assert first.code == 0, first.err
    assert "is the whole network's" in first.err
    second = bench.start("--self-test")
    assert second.code == 0, second.err
    assert "sending" not in second.err
    assert "installing" not in second.err
    assert bench.base.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("python", [pytest.param(sys.executable, id="same"), pytest.param(old_python(), id="3.8")])
def test_frames_come_back_as_the_whole_network_would_answer(
    bench: Bench, frames: Path, tmp_path: Path, python: str | None
) -> None:
    if python is None:
        pytest.skip("no Python 3.8 here")
    said = bench.start(frames, "--out", tmp_path / "results.npz", "--frames", "20", python=python)
    assert said.code == 0, said.err
    assert "20 frames in" in said.out
    assert all(device in said.out for device in DEVICES)
    results, inputs = np.load(tmp_path / "results.npz"), np.load(frames)
    whole, network = original_model(MODEL), load_network(MODEL)
    assert set(results.files) == {f"{number}:{name}" for number in range(3) for name in network.outputs}
    for number in range(3):
        frame = {name: inputs[name][number] for name in network.inputs}
        for name, expected in run_model(whole, frame, list(network.outputs)).items():
            np.testing.assert_allclose(results[f"{number}:{name}"], expected, rtol=1e-3, atol=1e-5)


def test_an_interrupted_run_leaves_no_process_and_no_file(bench: Bench, frames: Path, tmp_path: Path) -> None:
    started = bench.begin(frames, *FOREVER, "--out", tmp_path / "results.npz")
    until_running(started)
    assert len(bench.agents()) == len(DEVICES)
    secret_free = [" ".join(words_of(process)) for process in bench.processes()]
    os.killpg(started.pid, signal.SIGINT)
    assert "interrupted" in ended(started)
    assert started.returncode == 130
    assert not bench.processes()
    assert not list(tmp_path.glob("*results*"))
    assert not any("token" in words or "key=" in words.lower() for words in secret_free)


def test_a_device_that_is_lost_is_named_and_the_others_end(bench: Bench, frames: Path) -> None:
    started = bench.begin(frames, *FOREVER)
    until_running(started)
    (victim,) = [process for process in bench.agents() if any("-two-agent" in word for word in words_of(process))]
    os.kill(victim.pid, signal.SIGKILL)
    said = ended(started)
    assert started.returncode == 1
    assert "error: two: " in said
    assert not bench.processes()
    # Its folder is removed by whoever connects next.
    assert bench.start("--stop").code == 0


@pytest.mark.slow
def test_what_a_killed_start_left_ends_by_itself(bench: Bench, frames: Path) -> None:
    started = bench.begin(frames, *FOREVER)
    until_running(started)
    started.kill()
    ended(started)
    wait_for(lambda: not bench.processes(), "the end of the agents")


@pytest.mark.slow
def test_stop_ends_what_another_start_runs(bench: Bench, frames: Path) -> None:
    started = bench.begin(frames, *FOREVER)
    until_running(started)
    said = bench.start("--stop")
    assert said.code == 0, said.err
    assert "processes ended" in said.err
    assert "was ended" not in ended(started)
    assert started.returncode == 1
    assert not bench.processes()


def test_a_host_whose_key_nobody_confirmed_is_refused(bench: Bench, tmp_path: Path) -> None:
    write_config(bench.config, bench.server, tmp_path / "nobody")
    said = bench.start("--self-test")
    assert said.code == 1
    assert "nobody has confirmed its host key" in said.err
    assert not (tmp_path / "nobody").exists()


def test_a_host_with_another_key_than_the_known_one_is_refused(bench: Bench, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    words = (tmp_path / "other.pub").read_text().split()
    (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{bench.server.port} {words[0]} {words[1]}\n")
    said = bench.start("--self-test")
    assert said.code == 1
    assert "shows another host key" in said.err


def test_a_host_that_does_not_let_us_in_is_named(bench: Bench, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    config = bench.config.read_text().replace(str(bench.server.key_file), str(tmp_path / "other"))
    bench.config.write_text(config)
    said = bench.start("--self-test")
    assert said.code == 1
    assert "does not let you in" in said.err


def test_a_host_without_python_is_named_before_anything_is_sent(bench: Bench) -> None:
    hosts = bench.with_hosts(two={"python": "/nowhere/python3"})
    said = bench.start("--self-test", "--hosts", hosts)
    assert said.code == 1
    assert said.err.startswith("error: two has no Python 3.8 or newer")


def test_a_host_that_cannot_be_reached_is_named(bench: Bench) -> None:
    said = bench.start("--check", "--hosts", bench.with_hosts(three={"port": 1}))
    assert said.code == 1
    assert "error: three takes no SSH connections" in said.err


def test_a_host_for_which_there_are_no_packages_is_named(bench: Bench, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    package = tmp_path / "package"
    shutil.copytree(bench.package, package)
    description = (package / "package.json").read_text()
    # As if it had been exported for another processor alone.
    changed = description.replace('"architecture": "', '"architecture": "other-')
    assert changed != description
    (package / "package.json").write_text(changed)
    _sum_again(package)
    bare = tmp_path / "bare" / "bin" / "python3"
    bench.package = package
    said = bench.start("--self-test", "--hosts", bench.with_hosts(**{name: {"python": str(bare)} for name in DEVICES}))
    assert said.code == 1
    assert "its Python has no pip" in said.err
    assert "--wheels" in said.err


def test_a_login_that_prints_things_does_not_disturb(bench: Bench) -> None:
    bench.server.set_before("echo Welcome to this board; echo it has news >&2")
    said = bench.start("--check")
    assert said.code == 0, said.err
    assert all(f"{device}: " in said.err for device in DEVICES)


@pytest.mark.slow
def test_cores_are_kept_to_and_wrong_ones_named(bench: Bench) -> None:
    said = bench.start("--self-test", "--hosts", bench.with_hosts(one={"cores": [4096]}))
    assert said.code == 1
    assert "core 4096" in said.err


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"ssh": "-oProxyCommand=true"}, "is nothing that ssh connects to"),
        ({"pasword": "x"}, "'pasword' is not one of"),
        ({"port": "22"}, "is no port"),
        ({"cores": "0,1"}, "is no list of cores"),
    ],
)
def test_a_wrong_hosts_file_is_said_by_device(bench: Bench, entry: dict[str, object], complaint: str) -> None:
    said = bench.start("--self-test", "--hosts", bench.with_hosts(one=entry))
    assert said.code == 2
    assert complaint in said.err
    assert "one" in said.err


def test_a_damaged_package_is_refused(bench: Bench, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(bench.package, package)
    model = next(package.glob("models/*.onnx"))
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    bench.package = package
    said = bench.start("--self-test")
    assert said.code == 1
    assert f"models/{model.name} is not the file that was exported" in said.err


def test_an_input_of_another_shape_is_refused_before_any_host_is_asked(bench: Bench, tmp_path: Path) -> None:
    np.save(tmp_path / "wrong.npy", np.zeros((1, 3, 7, 7), np.float32))
    write_config(bench.config, bench.server, tmp_path / "nobody")
    said = bench.start(tmp_path / "wrong.npy")
    assert said.code == 2
    assert "the network takes" in said.err


@pytest.mark.slow
def test_uninstalled_hosts_are_as_before(bench: Bench, tmp_path: Path) -> None:
    with SshServer(tmp_path / "fresh") as server:
        fresh = Bench(bench.package, server, tmp_path / "fresh_config")
        write_config(fresh.config, server, write_known_hosts(tmp_path / "fresh_known", server))
        before = sorted(server.home.rglob("*"))
        assert fresh.start("--self-test").code == 0
        said = fresh.start("--uninstall")
        assert said.code == 0, said.err
        assert "everything removed" in said.err
        assert sorted(server.home.rglob("*")) == before


@pytest.mark.slow
def test_a_sub_model_that_was_damaged_on_the_host_is_sent_again(bench: Bench) -> None:
    assert bench.start("--self-test").code == 0
    for model in (bench.base / "models").glob("*.onnx"):
        model.write_bytes(b"rubbish")
    said = bench.start("--self-test")
    assert said.code == 0, said.err
    assert "sub-models" in said.err


@pytest.mark.slow
def test_agents_that_hear_nothing_from_a_frozen_start_end(bench: Bench, frames: Path) -> None:
    started = bench.begin(frames, *FOREVER)
    until_running(started)
    started.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: not bench.agents(), "the end of the agents", deadline_s=90)
    finally:
        started.send_signal(signal.SIGCONT)
    ended(started)
    assert started.returncode == 1


@pytest.mark.slow
def test_two_starts_at_once_do_not_disturb_each_other(bench: Bench, frames: Path) -> None:
    both = [bench.begin(frames, "--frames", "200") for _ in range(2)]
    for started in both:
        said = ended(started)
        assert started.returncode == 0, said


@pytest.mark.slow
def test_a_host_without_wheels_fetches_them_by_hash(bench: Bench, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(bench.package, package)
    changed = (package / "package.json").read_text().replace('"architecture": "', '"architecture": "other-')
    (package / "package.json").write_text(changed)
    _sum_again(package)
    venv.create(tmp_path / "with-pip", with_pip=True)
    python = str(tmp_path / "with-pip" / "bin" / "python3")
    settings = [f"export {name}={value}" for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))]
    with SshServer(tmp_path / "fresh", before="\n".join(settings)) as server:
        fresh = Bench(package, server, tmp_path / "fresh_config")
        write_config(fresh.config, server, write_known_hosts(tmp_path / "fresh_known", server))
        said = fresh.start("--self-test", "--hosts", fresh.with_hosts(**{n: {"python": python} for n in DEVICES}))
        assert said.code == 0, said.err
        assert "its own pip fetches them" in said.err


def _sum_again(package: Path) -> None:
    lines = []
    for line in (package / "SHA256SUMS").read_text().splitlines():
        name = line.partition("  ")[2]
        lines.append(f"{hashlib.sha256((package / name).read_bytes()).hexdigest()}  {name}\n")
    (package / "SHA256SUMS").write_text("".join(lines))
