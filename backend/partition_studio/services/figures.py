"""What is known of devices and links, as the planner takes it: measured where it was, else estimated and said so."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations

from sqlalchemy import select

from partition_agent.protocol import STUDIO_PEER
from partition_studio.errors import NotFoundError
from partition_studio.graph.network import Network
from partition_studio.planner.figures.estimate import (
    LOOPBACK,
    STUDIO_CARRY,
    Roofline,
    estimate_profile,
    estimated_carry,
    over_network,
    scaled,
    typical_roofline,
)
from partition_studio.planner.figures.figures import (
    CarrySpeed,
    DeviceFigures,
    DevicePower,
    Figures,
    LinkFigures,
    LinkTable,
    Way,
)
from partition_studio.planner.figures.profile import Profile, network_digest
from partition_studio.planner.figures.speeds import CodecSpeed
from partition_studio.schemas import DeviceOut, LinkProfileOut, ProfileSummaryOut
from partition_studio.services.calibration import WHOLE_DEVICE
from partition_studio.services.devices import DeviceNotFoundError, DeviceService
from partition_studio.services.links import LinkService
from partition_studio.services.models import ModelService
from partition_studio.services.profiles import ProfileService
from partition_studio.store.database import Database
from partition_studio.store.tables import ProfileRow

#: Devices, and rooflines that were drawn from profiles of other networks, are remembered.
KEPT = 128


@dataclass(frozen=True)
class Known:
    """Figures, and what the person should know of them."""

    figures: Figures
    warnings: tuple[str, ...]


class FigureService:
    """Gathers figures. Every call may block; thread-safe."""

    def __init__(
        self,
        models: ModelService,
        devices: DeviceService,
        profiles: ProfileService,
        links: LinkService,
        database: Database | None = None,
    ) -> None:
        """Gather from what is kept; with the `database` a device is reckoned anew only when something of it changes."""
        self._database = database
        self._kept: OrderedDict[tuple[object, ...], tuple[DeviceFigures, str | None]] = OrderedDict()
        self._models = models
        self._devices = devices
        self._profiles = profiles
        self._links = links
        self._lock = threading.Lock()
        self._rooflines: OrderedDict[tuple[object, ...], Roofline] = OrderedDict()
        self._studio: tuple[tuple[object, ...], CarrySpeed | None] | None = None

    def of(self, model_id: str, names: Sequence[str]) -> Known:
        """Return what is known of a model on some devices, and of the links between them and the studio.

        Raises DeviceNotFoundError, ModelNotFoundError.
        """
        network = self._models.network(model_id)
        known = {device.name: device for device in self._devices.all()}
        warnings: dict[str, list[str]] = {}
        devices = {}
        measured = self._measured()
        for name in names:
            if name not in known:
                raise DeviceNotFoundError(f"There is no device {name!r}", device=name)
            devices[name], warning = self._kept_device(known[name], model_id, network, measured)
            if warning is not None:
                warnings.setdefault(warning, []).append(name)
        near = {name for name in names if known[name].kind == "local"}
        links = link_table(names, near, self._links.all().links)
        told = [f"{', '.join(of)}: {why}" for why, of in warnings.items()]
        if any(links.of(one, other).estimated for one, other in permutations([STUDIO_PEER, *names], 2)):
            told.append(
                "not every link was measured: the bandwidth of those is estimated (`partition-studio device links` "
                "measures them)"
            )
        here = [name for name, device in known.items() if device.kind == "local"]
        studio = self._studio_carry({name: measured[name] for name in here if name in measured})
        if studio is None:
            studio = STUDIO_CARRY
        elif len(near) < len(set(names)):
            studio = over_network(studio)
        return Known(Figures(devices, links, studio), tuple(told))

    def _studio_carry(self, here: Mapping[str, Sequence[tuple[int, datetime]]]) -> CarrySpeed | None:
        """Return what messages cost the studio: what they cost a device on its machine that was profiled, the newest.

        `here` are the profiles of such devices. None where there is none.
        """
        key = tuple(sorted((name, *profile) for name, profiles in here.items() for profile in profiles))
        with self._lock:
            kept = self._studio
        if kept is not None and kept[0] == key:
            return kept[1]
        newest = sorted(here, key=lambda name: max(at for _, at in here[name]), reverse=True)
        found = (profile.carry for name in newest if (profile := self._profiles.newest(name)) is not None)
        carry = next((carry for carry in found if carry is not None), None)
        with self._lock:
            self._studio = key, carry
        return carry

    # --- one device --------------------------------------------------------------------------------------------------

    def _measured(self) -> dict[str, list[tuple[int, datetime]]]:
        """Return the number and the time of each profile, by device."""
        found: dict[str, list[tuple[int, datetime]]] = {}
        if self._database is not None:
            with self._database.session() as session:
                query = select(ProfileRow.device, ProfileRow.id, ProfileRow.measured_at)
                for device, number, measured_at in session.execute(query):
                    found.setdefault(device, []).append((number, measured_at))
        return found

    def _kept_device(
        self,
        device: DeviceOut,
        model_id: str,
        network: Network,
        measured: Mapping[str, Sequence[tuple[int, datetime]]],
    ) -> tuple[DeviceFigures, str | None]:
        if self._database is None:
            return self._device(device, model_id, network)
        facts = device.model_dump_json(include={"name", "check", "cpus", "power"})
        key = (network_digest(network), facts, tuple(measured.get(device.name, ())))
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = self._device(device, model_id, network)
            with self._lock:
                self._kept[key] = found
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return found

    def _device(self, device: DeviceOut, model_id: str, network: Network) -> tuple[DeviceFigures, str | None]:
        """Return what is known of a device, and why its times are estimated where they are."""
        name, warning = device.name, None
        cores = 1.0 if device.check is None else device.check.usable_cores or 1.0
        # As its agent decides.
        threads = self._devices.threads(name) or max(int(cores), 1)
        found = self._profiles.best(name, network, threads)
        stale = None if found is None else _stale(found, device, threads)
        estimated = []
        if found is None or stale is not None:
            warning = self._why_estimated(name, model_id, network, stale)
            profile = estimate_profile(network, name, self._roofline(device, model_id, network, threads), threads)
            estimated.append("compute")
        else:
            profile = found
        newest = found or self._profiles.newest(name)
        carry = None if newest is None else newest.carry
        if carry is None:
            carry = self._carry(device, found, network, threads)
            estimated.append("carry")
            if warning is None:
                warning = f"what carrying costs there was not measured; measure it (`device profile NAME {model_id}`)"
        if device.kind != "local":
            carry = over_network(carry)
        codecs: Mapping[str, CodecSpeed] = {} if newest is None else newest.codecs
        if not codecs:
            estimated.append("codecs")
        power, is_measured = _power(device, newest, cores)
        if power is not None and not is_measured:
            estimated.append("power")
        memory_bytes = None if device.check is None else device.check.memory_bytes or None
        figures = DeviceFigures(
            name=name,
            cores=cores,
            threads=threads,
            memory_bytes=memory_bytes,
            profile=profile,
            carry=carry,
            codecs=codecs,
            power=power,
            estimated=tuple(estimated),
        )
        return figures, warning

    def _why_estimated(self, name: str, model_id: str, network: Network, stale: str | None) -> str:
        again = f"times are estimated until it is profiled again (`device profile NAME {model_id}`)"
        if stale is not None:
            return f"the profile {stale}, so it is not used; {again}"
        others = self._profiles.all(device=name, model_id=model_id)
        if any(one.network_digest != network_digest(network) for one in others):
            return f"the profile is of another form of this network, so it is not used; {again}"
        drawn = "by what such boards do" if self._profiles.newest(name) is None else "by profiles of other networks"
        return (
            f"this network was not profiled there, and its times are estimated {drawn}; profile it first "
            f"(`device profile NAME {model_id}`) for a plan that can be trusted"
        )

    def _roofline(self, device: DeviceOut, model_id: str, network: Network, threads: int) -> Roofline:
        """Return a device's roofline: by its newest profiles, of the same model first, else a typical one."""
        check = device.check
        typical = typical_roofline("" if check is None else check.architecture, None if check is None else check.model)
        if check is not None and check.usable_cores:
            typical = typical.with_cores(check.usable_cores)
        profiles = self._profiles.all(device=device.name)
        for one in sorted(profiles, key=lambda profile: profile.model_id != model_id):
            found = self._scaled(typical, one, network)
            if found is not None:
                return found
        return typical

    def _scaled(self, typical: Roofline, summary: ProfileSummaryOut, network: Network) -> Roofline | None:
        """Return a roofline as high as a profile tells; None where its network is not there any more."""
        key = (summary.id, summary.measured_at, typical)
        with self._lock:
            if key in self._rooflines:
                return self._rooflines[key]
        try:
            # Of another form of the same network, this form does as much.
            whole = network if network.digest[:12] == summary.model_id else self._models.network(summary.model_id)
        except NotFoundError:
            return None
        found = scaled(typical, whole, summary.threads, summary.kernels_s, summary.run_s)
        with self._lock:
            self._rooflines[key] = found
            while len(self._rooflines) > KEPT:
                self._rooflines.popitem(last=False)
        return found

    def _carry(self, device: DeviceOut, profile: Profile | None, network: Network, threads: int) -> CarrySpeed:
        return estimated_carry(self._roofline(device, network.digest[:12], network, threads))


def _stale(profile: Profile, device: DeviceOut, threads: int) -> str | None:
    """Say why a profile does not hold for a device as it is now; None where it does."""
    if profile.key.threads != threads:
        return f"was made with {profile.key.threads} threads, and stages there compute with {threads}"
    runtime = None if device.check is None else device.check.onnxruntime
    if runtime is not None and profile.key.runtime and profile.key.runtime != runtime:
        return f"was made with ONNX Runtime {profile.key.runtime}, and {runtime} is used there now"
    return None


def _power(device: DeviceOut, profile: Profile | None, cores: float) -> tuple[DevicePower | None, bool]:
    """Return a device's power, and whether it was measured: by its power model, else by a profile's energy."""
    model = device.power.model
    if model is not None:
        return DevicePower(model.idle_w, (model.busy_w - model.idle_w) / cores), model.source == "calibrated"
    power = None if profile is None else profile.power
    if profile is None or power is None or power.net_j is None or power.scope not in WHOLE_DEVICE or profile.run_s <= 0:
        return None, False
    busy_cores = min(float(profile.key.threads), cores)
    idle_w = max(power.gross_j - power.net_j, 0.0) / profile.run_s
    active_w = max(power.net_j, 0.0) / profile.run_s / busy_cores
    return DevicePower(idle_w, active_w), power.method != "estimated"


# --- links ------------------------------------------------------------------------------------------------------------


def link_table(names: Sequence[str], local: Set[str], measured: Sequence[LinkProfileOut]) -> LinkTable:
    """Return the links between some devices and the studio; `local` are those on the studio's machine.

    A device elsewhere has one interface, as fast as the fastest of its links was; processes on the studio's machine
    reach each other without any.
    """
    peers = {STUDIO_PEER, *names}
    near = {STUDIO_PEER, *local}
    links: dict[Way, LinkFigures] = {(one, other): LOOPBACK for one in near for other in near if one != other}
    least: dict[Way, float] = {}
    for link in measured:
        way = (link.source, link.target)
        if not peers.issuperset(way):
            continue
        if link.method == "traffic" and link.rtt_s is None:
            # Seen in frames that passed: it is at least as fast.
            least[way] = link.bytes_per_s
            continue
        links[way] = LinkFigures(link.bytes_per_s, (link.rtt_min_s or link.rtt_s or 0.0) / 2)
    default = LinkTable({}).default
    for way, bytes_per_s in least.items():
        known = links.get(way, default)
        if bytes_per_s > known.bytes_per_s:
            links[way] = LinkFigures(bytes_per_s, known.latency_s, known.estimated)
    return LinkTable(links, _interfaces(links, near))


def _interfaces(links: Mapping[Way, LinkFigures], near: Set[str]) -> dict[str, float]:
    """Return the bytes per second, each way, of the interfaces that several measured links share."""
    rates: dict[str, list[float]] = {}
    shared: set[str] = set()
    for (source, target), link in links.items():
        if link.estimated:
            continue
        for end in (source, target):
            rates.setdefault(end, []).append(link.bytes_per_s)
    for end in rates:
        into = sum(target == end for _, target in links)
        out = sum(source == end for source, _ in links)
        if max(into, out) > 1:
            shared.add(end)
    # What runs beside the studio shares no interface; nor does the studio where some do.
    apart = near if len(near) > 1 else set()
    return {end: max(rates[end]) for end in sorted(shared) if end not in apart}
