"""How long is waited between tries."""

from partition_studio.fleet.session.backoff import BASE_S, CAP_S, HEALTHY_S, Backoff


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def longest(_low: float, high: float) -> float:
    return high


def test_bounds_double_up_to_the_cap() -> None:
    backoff = Backoff(Clock(), longest)
    waits = [backoff.next_s() for _ in range(9)]
    assert waits[:4] == [BASE_S, 1.0, 2.0, 4.0]
    assert waits[-1] == CAP_S


def test_every_wait_is_drawn_from_zero_to_its_bound() -> None:
    backoff = Backoff()
    assert all(0 <= backoff.next_s() <= CAP_S for _ in range(100))


def test_only_a_good_time_makes_waits_small_again() -> None:
    clock = Clock()
    backoff = Backoff(clock, longest)
    backoff.next_s()
    backoff.connected()
    clock.now_s += HEALTHY_S - 1
    backoff.lost()
    assert backoff.next_s() == 2 * BASE_S
    backoff.connected()
    clock.now_s += HEALTHY_S
    backoff.lost()
    assert backoff.next_s() == BASE_S
