"""MobileNetV2 in two stages of a few milliseconds: here the overhead of each frame shows."""

from collections.abc import Iterator

from bench.pipeline.bench import Bench
from bench.pipeline.figures import Bar, Outcome
from bench.pipeline.harness.chain import Chain, chain_bar, run_chain
from bench.pipeline.harness.deployment import Wiring
from bench.pipeline.harness.devices import DeviceSpec

NAME = "short-stages"
LIMIT = 0.85
OVERHEAD_LIMIT_MS = 0.4


def measure(bench: Bench) -> Iterator[Outcome]:
    """Overhead of a hop: an agent's processor time for a frame beyond its stage's own (one message in, one out)."""
    specs = [DeviceSpec("one", bench.cpu(0)), DeviceSpec("two", bench.cpu(1))]
    network = bench.network("mobilenet-v2")
    chain = run_chain(bench, network, specs)
    yield chain_bar(NAME, "MobileNetV2, 2 devices of 1 core", chain, LIMIT)
    yield _overhead(chain, "MobileNetV2, overhead of a frame and hop")
    plain = run_chain(bench, network, specs, Wiring(plaintext=True), chain.cuts)
    yield _overhead(plain, "MobileNetV2, the same in plaintext", "what is left of it without encryption")


def _overhead(chain: Chain, name: str, *notes: str) -> Bar:
    return Bar(
        case=NAME,
        name=name,
        unit="ms of CPU",
        values=tuple(r.overhead_s * 1e3 for r in chain.rounds),
        limit=OVERHEAD_LIMIT_MS,
        direction="at most",
        facts={
            "stage, ms": tuple(1e3 / r.bound_per_s for r in chain.rounds),
            "frame's time beyond the slowest stage, ms": tuple(
                1e3 / r.pipeline.per_s - 1e3 / r.bound_per_s for r in chain.rounds
            ),
        },
        notes=("of an agent, beyond its stage alone: receiving, decryption, sending, encryption, sampling", *notes),
    )
