"""The wheel is the whole studio: installed alone, without Node.js, it has everything."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.studio import wait_for

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "backend" / "partition_studio", ROOT / "agents" / "partition_agent")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built the way `make wheel` builds it."""
    static = PACKAGES[0] / "static" / "index.html"
    assert static.is_file(), "the browser part is not built: run `make frontend` first"
    folder = tmp_path_factory.mktemp("dist")
    environment = {**os.environ, "STUDIO_VENV": sys.prefix}
    subprocess.run([ROOT / "scripts" / "wheel.sh", folder], check=True, env=environment)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the locked dependencies and the wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
    ]
    locked = ROOT / "requirements" / "studio.txt"
    subprocess.run([*pip, "--require-hashes", "-r", locked], check=True, cwd=folder)
    subprocess.run([*pip, "--no-deps", wheel], check=True, cwd=folder)
    return folder / "bin"


def _environment(program: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(program.parent), "NO_COLOR": "1", "LANG": "C.UTF-8"}


def _run(program: Path, *arguments: str) -> str:
    """Run a program with only the system's folders in PATH, outside the source tree, and return what it printed."""
    done = subprocess.run(
        [program, *arguments],
        cwd=program.parent,
        env=_environment(program),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_holds_every_file_of_both_packages(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(package.parent))
        for package in PACKAGES
        for path in package.rglob("*")
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(package).parts)
    }
    assert {"partition_studio/static/index.html", "partition_studio/graph/data/digits.onnx"} <= wanted
    assert {"partition_agent/protocol.py", "partition_agent/requirements.lock"} <= wanted
    assert wanted - held == set()


def test_wheel_holds_every_file_that_the_page_asks_for(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    page = archive.read("partition_studio/static/index.html").decode()
    asked = re.findall(r'(?:src|href)="/?([^":]+\.(?:js|css|svg|ico|png))"', page)
    assert any(path.endswith(".js") for path in asked)
    assert {f"partition_studio/static/{path}" for path in asked} <= set(archive.namelist())


def test_command_runs_where_only_the_wheel_is_installed(installed: Path) -> None:
    printed = _run(installed / "partition-studio", "--help")
    for command in ("serve", "demo", "model", "device", "plan", "split", "deploy"):
        assert command in printed


def test_locked_packages_are_all_that_the_wheel_needs(installed: Path) -> None:
    printed = _run(installed / "python", "-m", "pip", "--disable-pip-version-check", "check")
    assert "No broken requirements" in printed


def test_installed_package_finds_its_own_files(installed: Path) -> None:
    script = (
        "import partition_studio, partition_agent, pathlib\n"
        "from partition_studio.graph.examples import build_example\n"
        "print(len(build_example('digits')))\n"
        "print(pathlib.Path(partition_studio.__file__).with_name('static').joinpath('index.html').is_file())\n"
        "print(pathlib.Path(partition_agent.__file__).with_name('requirements.lock').is_file())\n"
    )
    size, page, lock = _run(installed / "python", "-c", script).split()
    assert int(size) > 100_000
    assert (page, lock) == ("True", "True")


def test_installed_studio_serves_the_page_and_its_script(installed: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [installed / "partition-studio", "serve", "--port", "0", "--data-dir", tmp_path]
    environment = _environment(installed / "partition-studio")
    log = tmp_path / "output"
    with log.open("wb") as output:
        studio = subprocess.Popen(command, cwd=installed, env=environment, stdout=output, stderr=output)
    try:

        def fetch_page() -> str | None:
            assert studio.poll() is None, log.read_text()
            url = tmp_path / "url"
            if not url.exists() or not url.read_text().endswith("\n"):
                return None
            with contextlib.suppress(httpx.ConnectError):
                return httpx.get(url.read_text().strip() + "/", trust_env=False).raise_for_status().text
            return None

        page = wait_for(fetch_page, what="the studio's first answer")
        script = re.search(r'src="(/[^"]+\.js)"', page)
        assert script is not None, page
        answer = httpx.get((tmp_path / "url").read_text().strip() + script[1], trust_env=False).raise_for_status()
        assert "javascript" in answer.headers["content-type"]
    finally:
        studio.send_signal(signal.SIGINT)
        studio.wait(timeout=30)
