"""What the benchmark stands on: devices with a share of a core, links of a given rate, deployments, peers."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from bench.cgroups import NoQuotaError, QuotaGroup, why_not
from bench.pipeline.bench import Bench
from bench.pipeline.cases import overload
from bench.pipeline.cases.tiles import largest_share, tile_plan
from bench.pipeline.figures import Bar
from bench.pipeline.harness.deployment import Cut, Deployed, Wiring
from bench.pipeline.harness.devices import Devices, DeviceSpec
from bench.pipeline.harness.frames import throughput
from bench.pipeline.harness.plans import chain_plan
from bench.pipeline.peers import peer
from bench.pipeline.peers.raw import RawFeed
from bench.shaped import ShapedLink
from bench.synthetic import vgg16

from partition_studio.graph.network import Network
from tests.core.networks import load, relu_chain

CPU = (0,)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(folder=tmp_path_factory.mktemp("bench"), cpus=(0, 0), rounds=1, seconds=0.2, quick=True)


@pytest.fixture(scope="module")
def devices(bench: Bench) -> Iterator[Devices]:
    with bench.devices([DeviceSpec("one", CPU), DeviceSpec("two", CPU)]) as started:
        yield started


@pytest.fixture(scope="module")
def network(bench: Bench) -> Network:
    return bench.network("digits")


@pytest.fixture(scope="module")
def cut(network: Network) -> Cut:
    return Cut.of(network, chain_plan(network, (len(network.layers) // 2,), ["one", "two"]))


def quota_or_skip(name: str, cores: float) -> QuotaGroup:
    try:
        return QuotaGroup(name, cores)
    except NoQuotaError as error:
        pytest.skip(str(error))


def test_a_process_of_a_group_begins_with_its_quota() -> None:
    with quota_or_skip("test", 0.5) as group:
        code = "from partition_agent.system import cpu_quota_cores; print(cpu_quota_cores())"
        done = subprocess.run(group.command([sys.executable, "-c", code]), capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(0.5)


def test_without_quotas_it_is_said_why() -> None:
    reason = why_not()
    assert reason is None or "quota" in reason or "group" in reason


def test_a_shaped_link_passes_every_byte_both_ways() -> None:
    data = np.random.default_rng(0).bytes(300_000)
    received: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        end, _ = listener.accept()
        with end:
            while len(b"".join(received)) < len(data):
                received.append(end.recv(65536))
            end.sendall(b"".join(received)[::-1])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        with (
            ShapedLink(listener.getsockname()[1], 50e6) as link,
            socket.create_connection(("127.0.0.1", link.port)) as end,
        ):
            end.sendall(data)
            back = b""
            while len(back) < len(data) and (piece := end.recv(65536)):
                back += piece
        server.join()
    assert b"".join(received) == data
    assert back == data[::-1]


def test_a_shaped_link_holds_little_of_what_nobody_reads() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ShapedLink(listener.getsockname()[1], 1e9) as link,
        socket.create_connection(("127.0.0.1", link.port)) as end,
    ):
        end.settimeout(1.0)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 1 << 28:
                sent += end.send(bytes(1 << 16))
    assert sent < 1 << 25


@pytest.mark.parametrize("wiring", [Wiring(), Wiring(plaintext=True), Wiring(codec="lz4", bytes_per_s=50e6, window=3)])
def test_a_deployment_of_the_bench_gives_the_networks_answers(
    network: Network, cut: Cut, devices: Devices, bench: Bench, wiring: Wiring
) -> None:
    session = onnxruntime.InferenceSession(bench.folder / "digits.onnx", providers=["CPUExecutionProvider"])
    ((name, kind),) = network.inputs.items()
    frame = np.random.default_rng(3).random(kind.shape, dtype=np.float32)
    with Deployed(cut, devices, wiring) as deployed:
        assert deployed.door is not None
        found = deployed.door.submit({name: frame}, timeout_s=30).result(30).outputs
        flow = throughput(deployed, bench.seconds)
    for output, expected in zip(network.outputs, session.run(list(network.outputs), {name: frame}), strict=True):
        np.testing.assert_allclose(found[output].astype(np.float64), expected, rtol=1e-4, atol=1e-5)
    assert flow.frames >= 4
    assert set(flow.usage) == {"one", "two", "studio", *(["link 0"] if wiring.bytes_per_s else [])}
    assert flow.agents_cpu_s > 0


def test_a_raw_peer_brings_every_frame(bench: Bench) -> None:
    network = load(relu_chain(4))
    cut = Cut.of(network, chain_plan(network, (2,), ["one", "two"]))
    models = []
    for stage in cut.parted.graph.stages:
        models.append(bench.folder / f"peer-{stage.name}.onnx")
        models[-1].write_bytes(cut.parts[stage.name])
    (kind,) = network.inputs.values()
    with closing(RawFeed(models, [CPU, CPU])) as feed:
        flow = peer.throughput(feed, kind.shape, 0.2)
    assert flow.per_s > 0
    assert len(feed.arrivals.at_s) >= 12


def test_the_halo_counts_in_a_tiles_share() -> None:
    network = load(vgg16(blocks=2, side=32))
    cut = Cut.of(network, tile_plan(network, ["a", "b"], [1.0, 1.0], [1.0]))
    assert 0.5 < largest_share(cut) < 0.9


@pytest.mark.slow
def test_overload_loses_nothing_and_keeps_its_latency(tmp_path: Path) -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    outcomes = overload.measure(Bench(tmp_path, (0, 0), rounds=1, seconds=1.0, quick=True, minutes=1 / 3))
    bars = {one.name: one for one in outcomes if isinstance(one, Bar)}
    growth = [bar for name, bar in bars.items() if "growth" in name]
    assert len(growth) == 2
    assert all(" 0 lost" in bar.notes[0] for bar in growth)
    # A queue that grew by a frame of 0.8 MB each fifth of a second would be ten times as much.
    assert all(bar.facts["largest, MiB"][0] - bar.facts["first, MiB"][0] < 32 for bar in growth)
