"""Devices: register, check, remove, read the log."""

from typing import Annotated

from fastapi import APIRouter, Query

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import DeviceIn, DeviceOut, LogOut

router = APIRouter(tags=["devices"])


@router.get("/devices")
def list_devices(services: ServicesDep) -> list[DeviceOut]:
    """List the registered devices in the order of their registration."""
    return services.devices.all()


@router.post("/devices", status_code=201)
def add_device(services: ServicesDep, request: DeviceIn) -> DeviceOut:
    """Connect to a device, check it and register it.

    An unknown host key is answered with the problem `unknown_host_key` and its fingerprint: compare it with the
    device's own, then ask again with `trusted_fingerprint`.
    """
    return services.devices.add(request)


@router.post("/devices/{name}/check")
def check_device(services: ServicesDep, name: str) -> DeviceOut:
    """Check a device anew."""
    return services.devices.check(name)


@router.delete("/devices/{name}", status_code=204)
def remove_device(services: ServicesDep, name: str) -> None:
    """Remove a device: end its agent, delete what was installed there, forget it."""
    services.devices.remove(name)


@router.get("/devices/{name}/log")
def read_log(services: ServicesDep, name: str, lines: Annotated[int, Query(ge=1, le=5000)] = 200) -> LogOut:
    """Read the last lines of the device's agent log."""
    return LogOut(device=name, lines=services.devices.log(name, lines))
