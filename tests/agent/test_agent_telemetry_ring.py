"""The ring of samples on the device's disk: bounded, there again after a crash, honest about damage."""

from __future__ import annotations

import json
import logging
import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from tests.agent.sysfs import tree

from partition_agent.protocol import MemorySample, Telemetry
from partition_agent.ring.ring import MAX_IN_MEMORY, Ring


def sample(sequence: int, filling: int = 0) -> Telemetry:
    memory = MemorySample(None, None, 1, 2, 3)
    dropped = {"x" * filling: 1} if filling else {}
    return Telemetry("i", sequence, 1.0, 2.0, 3.0, 4.0, None, memory, (), None, (), (), dropped, "r")


def fill(ring: Ring, count: int, filling: int = 0) -> None:
    for _ in range(count):
        ring.append(sample(ring.next_sequence, filling), 0.0)


def sequences(ring: Ring, after: int = 0, limit: int = 10**6) -> list[int]:
    return [one.sequence for one in ring.after(ring.name, after, limit)[2]]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.seg"))


def test_samples_come_back_as_they_were_oldest_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    assert ring.after(ring.name, 0, 10) == (0, 0, ())
    fill(ring, 5)
    assert ring.after(ring.name, 0, 100) == (1, 5, tuple(sample(number) for number in range(1, 6)))
    assert sequences(ring, after=2, limit=2) == [3, 4]
    ring.close()


def test_a_restarted_agent_counts_on_in_the_same_ring(tmp_path: Path) -> None:
    first = Ring(tmp_path, "boot")
    fill(first, 3)
    second = Ring(tmp_path, "boot")
    assert second.name == first.name and second.next_sequence == 4
    fill(second, 2)
    assert sequences(second) == [1, 2, 3, 4, 5]
    assert len(segments(tmp_path)) == 1, "a restart alone begins no new file"


def test_an_agent_that_is_killed_loses_nothing_that_it_told(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path\n"
        "from tests.agent.test_agent_telemetry_ring import Ring, fill\n"
        "ring = Ring(Path(sys.argv[1]), 'boot'); ring.start(); fill(ring, 20)\n"
        "print(ring.name, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert done.returncode == -9
    ring = Ring(tmp_path, "boot")
    assert ring.name == done.stdout.decode().strip()
    assert sequences(ring) == list(range(1, 21)) and ring.next_sequence == 21


def test_after_a_loss_of_power_no_number_is_given_twice(tmp_path: Path) -> None:
    fill(Ring(tmp_path, "boot 1"), 3)
    ring = Ring(tmp_path, "boot 2")
    assert ring.next_sequence > 3 + 8, "the last samples that were told of may not have reached the disk"
    assert ring.next_sequence - ring.skipped == 4, "how many were left out is told with the next sample"
    fill(ring, 1)
    assert ring.skipped == 0
    assert Ring(tmp_path, "boot 2").next_sequence == ring.next_sequence


@pytest.mark.parametrize("lost_bytes", [1, 20, 60])
def test_a_torn_tail_is_cut_off(tmp_path: Path, lost_bytes: int) -> None:
    ring = Ring(tmp_path)
    fill(ring, 5)
    ring.close()
    path = segments(tmp_path)[0]
    os.truncate(path, path.stat().st_size - lost_bytes)
    ring = Ring(tmp_path)
    assert sequences(ring) == [1, 2, 3, 4]
    assert ring.next_sequence > 5, "the fifth may have been told of"
    fill(ring, 1)
    assert sequences(ring)[:-1] == [1, 2, 3, 4] and ring.corrupt_segments == 0


def test_flipped_bits_in_the_newest_segment_give_no_number_twice(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    fill(ring, 10)
    ring.close()
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ring = Ring(tmp_path)
    assert sequences(ring) == list(range(1, len(sequences(ring)) + 1)) and len(sequences(ring)) < 10
    assert ring.next_sequence > 10


def test_a_corrupt_segment_is_believed_up_to_the_damage_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ring = Ring(tmp_path, max_bytes=16 * 1000)
    fill(ring, 20, filling=100)
    assert len(segments(tmp_path)) > 3
    path = segments(tmp_path)[1]
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    lost = int(segments(tmp_path)[2].stem) - 1
    assert sequences(ring) == [number for number in range(1, 21) if number != lost]
    assert ring.corrupt_segments == 1
    assert sequences(ring)[-1] == 20 and ring.corrupt_segments == 1, "it is counted once"
    assert [record.message for record in caplog.records] == ["ring_segment_corrupt"]


def test_the_ring_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    ring = Ring(tmp_path, max_bytes=64 * 1024)
    fill(ring, 200, filling=500)
    size_bytes = sum(path.stat().st_size for path in segments(tmp_path))
    assert 32 * 1024 < size_bytes <= 64 * 1024
    left = sequences(ring)
    assert left == list(range(left[0], 201)) and left[0] > 50
    assert ring.after(ring.name, 0, 1)[:2] == (left[0], 200)


def test_the_ring_holds_a_day_at_most(tmp_path: Path) -> None:
    ring = Ring(tmp_path, max_bytes=16 * 2000, max_samples=50)
    fill(ring, 150)
    assert 40 < len(sequences(ring)) < 70


def test_what_was_acknowledged_may_go_and_what_was_not_stays(tmp_path: Path) -> None:
    ring = Ring(tmp_path, max_bytes=16 * 1000)
    fill(ring, 20, filling=100)
    before = len(segments(tmp_path))
    assert sequences(ring, after=12) == list(range(13, 21))
    assert len(segments(tmp_path)) < before
    assert sequences(ring, after=20) == []
    assert len(segments(tmp_path)) == 1
    assert Ring(tmp_path).next_sequence == 21, "the numbers go on all the same"


@pytest.mark.parametrize("after", [-5, 21, 2**63 - 1])
def test_a_number_that_was_never_given_acknowledges_nothing(tmp_path: Path, after: int) -> None:
    ring = Ring(tmp_path, max_bytes=16 * 1000)
    fill(ring, 20, filling=100)
    assert sequences(ring, after=after, limit=-1) == ([1] if after < 0 else [])
    assert sequences(ring) == list(range(1, 21))


def test_of_another_ring_everything_is_sent(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    fill(ring, 3)
    oldest, newest, samples = ring.after("another", 500, 100)
    assert (oldest, newest, len(samples)) == (1, 3, 3)


def test_one_answer_is_bounded_in_bytes(tmp_path: Path) -> None:
    ring = Ring(tmp_path, max_bytes=160 * 1024 * 1024)
    fill(ring, 12, filling=900_000)
    assert 1 <= len(sequences(ring)) < 12


@pytest.mark.parametrize("state", ["", "{}", "[1]", "\0"])
def test_a_ring_whose_name_is_lost_begins_anew(tmp_path: Path, state: str) -> None:
    ring = Ring(tmp_path)
    fill(ring, 3)
    (tmp_path / "ring.json").write_text(state)
    other = Ring(tmp_path)
    assert other.name != ring.name and other.next_sequence == 1 and sequences(other) == []


def test_a_ring_whose_samples_are_gone_begins_anew(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    fill(ring, 3)
    segments(tmp_path)[0].unlink()
    assert Ring(tmp_path).name != ring.name


def test_samples_of_another_version_are_passed_over(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    fill(ring, 2)
    ring.close()
    path = segments(tmp_path)[0]
    data = path.read_bytes()
    assert data.count(b"monotonic_s") == 2
    length, _, sequence = struct.unpack_from("<IIQ", data)
    body = data[16 : 16 + length].replace(b"monotonic_s", b"monotonic_x")
    path.write_bytes(struct.pack("<IIQ", length, zlib.crc32(body, sequence), sequence) + body + data[16 + length :])
    assert sequences(Ring(tmp_path)) == [2]


# --- a disk that refuses ---------------------------------------------------------------------------------------------


def test_without_a_folder_the_ring_is_in_memory_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    ring = Ring(None)
    fill(ring, MAX_IN_MEMORY + 10)
    left = sequences(ring)
    assert len(left) == MAX_IN_MEMORY and left[-1] == MAX_IN_MEMORY + 10
    assert sequences(ring, after=left[-2]) == [left[-1]]
    ring.close()
    assert caplog.records == []


def test_where_the_folder_cannot_be_made_it_goes_on_in_memory_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tree(tmp_path, {"file": "in the way"})
    ring = Ring(tmp_path / "file" / "telemetry")
    fill(ring, 3)
    assert sequences(ring) == [1, 2, 3]
    assert [record.message for record in caplog.records] == ["ring_in_memory"]
    ring.close()


def test_a_full_disk_is_gone_on_without_and_used_again_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ring = Ring(tmp_path, retry_s=60.0)
    fill(ring, 3)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A write beyond this limit fails in the middle, as on a disk that is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (segments(tmp_path)[0].stat().st_size + 50, before[1]))
    try:
        for _ in range(3):
            ring.append(sample(ring.next_sequence), 100.0)
        assert sequences(ring) == [1, 2, 3, 4, 5, 6], "what is in memory is told too"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "ring.json").exists(), "a start now could not know which numbers were given"
    ring.append(sample(ring.next_sequence), 159.0)
    assert "ring_on_disk_again" not in caplog.text
    ring.append(sample(ring.next_sequence), 161.0)
    assert [record.message for record in caplog.records] == ["ring_in_memory", "ring_on_disk_again"]
    ring.close()
    again = Ring(tmp_path)
    assert again.name == ring.name and sequences(again) == list(range(1, 9))


def test_an_agent_that_dies_while_the_disk_is_full_begins_a_new_ring(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    fill(ring, 3)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (segments(tmp_path)[0].stat().st_size + 50, before[1]))
    try:
        fill(ring, 3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert Ring(tmp_path).name != ring.name


def test_the_ring_is_private_to_its_user(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "telemetry")
    fill(ring, 1)
    modes = {path.name[-4:]: path.stat().st_mode & 0o777 for path in (tmp_path / "telemetry").iterdir()}
    assert modes == {".seg": 0o600, "json": 0o600}
    assert (tmp_path / "telemetry").stat().st_mode & 0o777 == 0o700
    assert set(json.loads((tmp_path / "telemetry/ring.json").read_text())) == {"ring", "boot_id"}


# --- what cannot be read ---------------------------------------------------------------------------------------------


def test_a_moment_without_file_descriptors_neither_hides_samples_for_good_nor_ends_the_ring_on_the_disk(
    tmp_path: Path,
) -> None:
    ring = Ring(tmp_path, "boot")
    fill(ring, 10)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 5, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                taken.append(os.open("/dev/null", os.O_RDONLY))
        assert ring.after(ring.name, 0, 100) == (1, 10, ()), "nothing that could be taken for all"
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    fill(ring, 5)
    assert sequences(ring) == list(range(1, 16))
    again = Ring(tmp_path, "boot")
    assert (again.name, again.next_sequence) == (ring.name, 16)


def test_a_segment_that_is_gone_hides_no_other(tmp_path: Path) -> None:
    ring = Ring(tmp_path, max_bytes=16 * 1000)
    fill(ring, 20, filling=100)
    first, second = (int(path.stem) for path in segments(tmp_path)[1:3])
    segments(tmp_path)[1].unlink()
    left = [number for number in range(1, 21) if not first <= number < second]
    assert sequences(ring) == left
    fill(ring, 1)
    assert sequences(ring) == [*left, 21] and ring.corrupt_segments == 1
    assert Ring(tmp_path).next_sequence == 22, "it is on the disk still"


@pytest.mark.parametrize("more", [0, 3])
def test_when_the_newest_segment_is_gone_no_number_is_given_twice(tmp_path: Path, more: int) -> None:
    ring = Ring(tmp_path, "boot", max_bytes=16 * 1000)
    fill(ring, 20, filling=100)
    segments(tmp_path)[-1].unlink()
    assert 20 not in sequences(ring)
    fill(ring, more)
    again = Ring(tmp_path, "boot", max_bytes=16 * 1000)
    assert again.name != ring.name or again.next_sequence == 21 + more
    assert (again.name == ring.name) == bool(more)


def test_a_disk_that_does_not_even_let_the_ring_be_ended_keeps_it_and_the_agent_goes_on_as_another(
    tmp_path: Path,
) -> None:
    ring = Ring(tmp_path, "boot")
    fill(ring, 3)
    name = ring.name
    (tmp_path / "ring.json").unlink()
    tree(tmp_path, {"ring.json/in": "the way"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (segments(tmp_path)[0].stat().st_size + 50, before[1]))
    try:
        told = ring.append(sample(ring.next_sequence), 0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told.ring == ring.name != name
    fill(ring, 2)
    assert sequences(ring) == [4, 5, 6]
    assert ring.after(ring.name, 0, 1)[2] == (told,)
    ring.close()
