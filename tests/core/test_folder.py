"""What is written into a folder appears whole or not at all, and nothing of a killed writer stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from partition_studio.partition.folder import OutputFolderError, whole_folder

WRITER = """
import sys, time
from pathlib import Path
from partition_studio.partition.folder import whole_folder
with whole_folder(Path(sys.argv[1]), lambda folder: None) as folder:
    (folder / "half").write_text("...")
    print("writing", flush=True)
    time.sleep(60)
"""


def _write(out: Path, text: str) -> None:
    with whole_folder(out, lambda folder: None) as folder:
        (folder / "file").write_text(text)


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    _write(tmp_path / "a" / "out", "first")
    _write(tmp_path / "a" / "out", "second")
    assert (tmp_path / "a" / "out" / "file").read_text() == "second"
    assert os.listdir(tmp_path / "a") == ["out"]


def test_where_writing_fails_the_one_before_stays_and_nothing_else(tmp_path: Path) -> None:
    _write(tmp_path / "out", "first")
    with pytest.raises(OutputFolderError, match="No space"), whole_folder(tmp_path / "out", lambda folder: None):
        raise OSError(28, "No space left on device")
    assert (tmp_path / "out" / "file").read_text() == "first"
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with (
        pytest.raises(OutputFolderError, match=r"'thesis\.tex'"),
        whole_folder(tmp_path / "out", lambda folder: "thesis.tex"),
    ):
        pytest.fail("never given")
    (tmp_path / "file").touch()
    with pytest.raises(OutputFolderError, match="not a folder"), whole_folder(tmp_path / "file", lambda folder: None):
        pytest.fail("never given")
    assert sorted(os.listdir(tmp_path)) == ["file", "out"]


def test_what_a_killed_writer_left_goes_with_the_next_one_and_a_living_one_is_let_be(tmp_path: Path) -> None:
    out = tmp_path / "out[1]"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    (hidden,) = tmp_path.iterdir()
    _write(out, "while it lives")
    assert hidden.is_dir()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert hidden.is_dir()
    _write(out, "after it")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
