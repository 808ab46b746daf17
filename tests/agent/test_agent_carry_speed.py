"""What carrying costs the processor, as the agent measures it of itself."""

import threading

import pytest

from partition_agent.profiling.carry_speed import LARGE_BYTES, SMALL_BYTES, carry_speed, through


def test_both_the_message_and_its_bytes_cost_something_and_no_thread_is_left() -> None:
    carry = carry_speed(0.1)
    assert carry is not None
    # A message takes its threads and system calls; a byte is at least encrypted and decrypted once.
    assert 1e-5 < carry.message_s < 1e-1
    assert 1e-11 < carry.byte_s < 1e-6
    # The library's own, which frees what was sent, stays with the process.
    assert not [thread.name for thread in threading.enumerate() if "what carrying costs" in thread.name]


def test_on_half_a_core_that_shows_as_a_whole_one_a_message_takes_twice_as_long() -> None:
    whole, half = carry_speed(0.1), carry_speed(0.1, share=0.5)
    assert whole is not None
    assert half is not None
    assert half.message_s + 1e6 * half.byte_s > 1.3 * (whole.message_s + 1e6 * whole.byte_s)


def test_the_line_goes_through_both_sizes() -> None:
    carry = through(1e-4 + 2e-9 * SMALL_BYTES, 1e-4 + 2e-9 * LARGE_BYTES)
    assert carry.message_s == pytest.approx(1e-4)
    assert carry.byte_s == pytest.approx(2e-9)


@pytest.mark.parametrize(("small_s", "large_s"), [(2e-4, 1e-4), (1e-6, 1e-2), (0.0, 0.0)])
def test_noise_makes_neither_part_negative(small_s: float, large_s: float) -> None:
    carry = through(small_s, large_s)
    assert carry.message_s >= 0
    assert carry.byte_s >= 0
