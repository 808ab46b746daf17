"""A studio whose devices, profiles and links are made up: what the planner's service, API and commands need."""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np
import onnx
from onnx import helper
from sqlalchemy import inspect

from partition_studio.graph.network import Network
from partition_studio.partition.plan import Plan
from partition_studio.planner.figures.estimate import Roofline, estimate_profile
from partition_studio.planner.figures.profile import Profile, profile_to_json
from partition_studio.schemas import DeviceIn, PlanIn
from partition_studio.services import Services
from partition_studio.store.links import Figure, LinkStore
from partition_studio.store.tables import DeviceRow, ProfileRow
from tests.core.networks import make_model, value, weight

#: About a Raspberry Pi 4's.
BOARD = Roofline(4e9, 3e9, 2e-5, 2e-4)

IDLE_W, BUSY_W = 2.0, 5.0


def add_devices(services: Services, names: Sequence[str]) -> None:
    """Register devices on this machine: one is checked, and the others are as it is, as a restart would find them."""
    first, *others = names
    services.devices.add(DeviceIn(name=first, address="local:", cpus=[0], idle_power_w=IDLE_W, busy_power_w=BUSY_W))
    with services._database.session() as session, session.begin():
        row = session.get(DeviceRow, first)
        assert row is not None
        columns = {column.key: getattr(row, column.key) for column in inspect(DeviceRow).column_attrs}
        for number, name in enumerate(others, 1):
            session.add(DeviceRow(**{**columns, "name": name, "position": row.position + number}))


def change_device(services: Services, name: str, **values: object) -> None:
    """Change what is kept of a device."""
    with services._database.session() as session, session.begin():
        row = session.get(DeviceRow, name)
        assert row is not None
        for column, value in values.items():
            setattr(row, column, value)


def limit_memory(services: Services, name: str, memory_bytes: int) -> None:
    """Let a device have so much memory."""
    check = services.devices.row(name).check
    change_device(services, name, check={**(check or {}), "memory_bytes": memory_bytes})


def add_model(services: Services, model: onnx.ModelProto, name: str = "net") -> str:
    """Add a network as it is; return its id."""
    file = io.BytesIO(model.SerializeToString())
    return services.models.add(file, file_name=f"{name}.onnx", name=name, simplify=False).id


def only_plan(services: Services, model_id: str, plan: Plan, name: str = "Demo") -> None:
    """Save a plan of a network, and have no other."""
    for saved in services.plans.all(model_id):
        services.plans.remove(saved.id)
    services.plans.create(model_id, PlanIn(name=name, plan=plan))


def branches(count: int, length: int) -> onnx.ModelProto:
    """Return chains of convolutions of different sizes that are summed: no run of layers is a good plan for them."""
    chance = np.random.default_rng(0)
    nodes, weights, ends = [], [], []
    for branch in range(count):
        tensor = "x"
        for number in range(length):
            name, size = f"c{branch}-{number}", int(chance.integers(1, 4)) * 2 - 1
            weights.append(weight(f"w-{name}", chance.standard_normal((8, 8, size, size)).astype(np.float32)))
            nodes.append(
                helper.make_node("Conv", [tensor, f"w-{name}"], [f"t-{name}"], name=name, pads=[size // 2] * 4)
            )
            tensor = f"t-{name}"
        ends.append(tensor)
    nodes.append(helper.make_node("Sum", ends, ["y"], name="sum"))
    shape = (1, 8, 16, 16)
    return make_model(nodes, [value("x", shape)], [value("y", shape)], weights)


@dataclass(frozen=True)
class Conditions:
    """Under which a profile is made, where that is not as the device is now."""

    threads: int = 1
    runtime: str | None = None
    digest: str | None = None


NOW = Conditions()


def made_up_profile(network: Network, device: str, *, speed: float = 1.0) -> Profile:
    """Return a profile of a board that is so many times as fast as `BOARD`."""
    roofline = dataclasses.replace(
        BOARD, macs_per_s=BOARD.macs_per_s * speed, bytes_per_s=BOARD.bytes_per_s * speed, session_s=2e-4 / speed
    )
    return msgspec.structs.replace(estimate_profile(network, device, roofline, 1), runs=5)


def add_profile(
    services: Services,
    model_id: str,
    device: str,
    *,
    speed: float = 1.0,
    conditions: Conditions = NOW,
    **values: object,
) -> Profile:
    """Keep a profile as if it had been measured."""
    network = services.models.network(model_id)
    profile = made_up_profile(network, device, speed=speed)
    check = services.devices.row(device).check
    key = msgspec.structs.replace(
        profile.key,
        threads=conditions.threads,
        runtime=conditions.runtime or str((check or {})["onnxruntime"]),
        provider="CPUExecutionProvider",
        network_digest=conditions.digest or profile.key.network_digest,
    )
    profile = msgspec.structs.replace(profile, key=key, **values)
    with services._database.session() as session, session.begin():
        session.add(
            ProfileRow(
                device=device,
                model_id=model_id,
                network_digest=key.network_digest,
                runtime=key.runtime,
                threads=key.threads,
                provider=key.provider,
                document=profile_to_json(profile),
                measured_at=datetime.now(UTC),
            )
        )
    return profile


def add_links(services: Services, rates: Mapping[tuple[str, str], float], *, rtt_s: float = 0.001) -> None:
    """Keep bandwidths (bytes per second) as if they had been measured."""
    store = LinkStore(services._database)
    for way, bytes_per_s in rates.items():
        store.keep(way, "measured", Figure(bytes_per_s, rtt_s, rtt_s))
