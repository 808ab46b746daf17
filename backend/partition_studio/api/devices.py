"""Devices: register, check, remove, read the log."""

from typing import Annotated

from fastapi import APIRouter, Query

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import DeviceIn, DeviceOut, InventoryIn, InventoryOut, LogOut, SshHostOut

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


@router.post("/devices/inventory")
def read_inventory(services: ServicesDep, request: InventoryIn) -> InventoryOut:
    """Read an inventory file (YAML or Ansible's INI) and say what its hosts would be registered as."""
    return services.devices.read_inventory(request)


@router.get("/devices/ssh-hosts")
def list_ssh_hosts(services: ServicesDep) -> list[SshHostOut]:
    """List the hosts of the user's `~/.ssh/config` that can be registered by their alias."""
    return services.devices.ssh_hosts()


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
