"""Refuses figures that nothing can be reckoned with: below 0, not a number, links that carry nothing.

Each error names the device or the link.
"""

import math
from collections.abc import Iterable, Iterator

from partition_agent.protocol import STUDIO_PEER
from partition_studio.planner.errors import BadFiguresError
from partition_studio.planner.figures.figures import CarrySpeed, DeviceFigures, Figures, Way


def require_devices(figures: Figures, devices: Iterable[str]) -> None:
    """Check all that is known of devices. Raises BadFiguresError."""
    for name in devices:
        device = figures.devices.get(name)
        if device is None:
            message = f"Nothing is known of the device {name!r}."
            raise BadFiguresError(message, next_step="Profile it, or leave it out of the plan.", device=name)
        for what, value in _faults_of_device(device):
            raise BadFiguresError(f"Of the device {name!r}, {what} is {_text(value)}, which cannot be.", device=name)


def require_links(figures: Figures, ways: Iterable[Way]) -> None:
    """Check what is known of the links of some directions, and of their ends' interfaces. Raises BadFiguresError."""
    for source, target in ways:
        link = figures.links.of(source, target)
        facts = {"source": source, "target": target}
        where = f"the link from {source!r} to {target!r}"
        if link.bytes_per_s == 0:
            raise BadFiguresError(f"The bandwidth of {where} is 0: it carries nothing.", **facts)
        if not link.bytes_per_s > 0:
            raise BadFiguresError(f"The bandwidth of {where} is {_text(link.bytes_per_s)} bytes/s.", **facts)
        if not _is_amount(link.latency_s):
            raise BadFiguresError(f"The latency of {where} is {_text(link.latency_s)} s.", **facts)
        for peer in (source, target):
            bytes_per_s = figures.links.interfaces.get(peer)
            if bytes_per_s is not None and not bytes_per_s > 0:
                message = f"The interface of {peer!r} has a bandwidth of {_text(bytes_per_s)} bytes/s."
                raise BadFiguresError(message, device=peer)
    for what, value, is_good in _of_carrying(figures.studio):
        if not is_good:
            raise BadFiguresError(f"Of the studio, {what} is {_text(value)}, which cannot be.", device=STUDIO_PEER)


def _faults_of_device(device: DeviceFigures) -> Iterator[tuple[str, float]]:
    """Yield what is known of a device and cannot be."""
    yield from ((what, value) for what, value, is_good in _of_device(device) if not is_good)
    for layer in device.profile.layers:
        if not _is_amount(layer.median_s):
            yield f"the time of the layer {layer.layer!r}", layer.median_s
    for kernel in device.profile.kernels:
        if not _is_amount(kernel.median_s):
            yield f"the time of the layers {', '.join(kernel.layers)}", kernel.median_s


def _of_device(device: DeviceFigures) -> Iterator[tuple[str, float, bool]]:
    """Yield the few facts of a device, and whether each can be; its profile's layers may be thousands."""
    yield "the number of cores", device.cores, device.cores > 0 and math.isfinite(device.cores)
    yield "the number of threads", device.threads, device.threads >= 1
    if device.memory_bytes is not None:
        yield "the memory", device.memory_bytes, device.memory_bytes >= 0
    yield from _of_carrying(device.carry)
    if device.power is not None:
        yield "the power when idle", device.power.idle_w, _is_amount(device.power.idle_w)
        yield "the power of a busy core", device.power.active_w, _is_amount(device.power.active_w)
    for name, speed in device.codecs.items():
        yield f"the speed of encoding with {name}", speed.encode_bytes_per_s, speed.encode_bytes_per_s > 0
        yield f"the speed of decoding with {name}", speed.decode_bytes_per_s, speed.decode_bytes_per_s > 0
    session_s = device.profile.session_s
    yield "the time of an empty run", session_s, _is_amount(session_s)


def _of_carrying(carry: CarrySpeed) -> Iterator[tuple[str, float, bool]]:
    yield "the time of carrying a message", carry.message_s, _is_amount(carry.message_s)
    yield "the time of carrying a byte", carry.byte_s, _is_amount(carry.byte_s)
    is_part = 0 <= carry.beside_byte_s <= carry.byte_s
    yield "the time of carrying a byte beside the wire", carry.beside_byte_s, is_part


def _is_amount(value: float) -> bool:
    return value >= 0 and math.isfinite(value)


def _text(value: float) -> str:
    return "not a number" if math.isnan(value) else f"{value:g}"
