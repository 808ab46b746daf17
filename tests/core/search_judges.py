"""Questions about small networks, and who judges and takes plans: for tests of plans beyond placements."""

from partition_studio.planner.search.baselines import whole_on
from partition_studio.planner.search.question import Limits, Objective, Question
from partition_studio.planner.search.strategies.judge import Judge, Judged
from tests.core.networks import load
from tests.core.planner_worlds import (
    branch_net,
    conv_chain,
    random_world,
    residual_net,
)

CHAIN, RESIDUAL, BRANCHES = load(conv_chain()), load(residual_net()), load(branch_net())
NO_LIMITS = Limits()
NETWORKS = [CHAIN, RESIDUAL, BRANCHES]


def never() -> bool:
    return False


def question_of(
    network_number: int, devices: int, seed: int, objective: Objective = "throughput", limits: Limits = NO_LIMITS
) -> Question:
    network = NETWORKS[network_number % len(NETWORKS)]
    names = tuple(f"d{number}" for number in range(devices))
    return Question(network, random_world(network, devices, seed), names, objective, limits)


class Offers(list[Judged]):
    """Takes what is offered."""

    def take(self, judged: Judged) -> bool:
        self.append(judged)
        return True

    @property
    def best(self) -> Judged:
        return min(self, key=lambda judged: judged.cost)


def single(judge: Judge, device: str) -> Judged:
    judged = judge.judge(whole_on(judge, device))
    assert judged is not None
    return judged
