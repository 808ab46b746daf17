"""Devices: register, check, remove, read the log."""

from typing import Annotated

from fastapi import APIRouter, Query

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import (
    CheckIn,
    DeviceIn,
    DeviceOut,
    ForgetAddressIn,
    ForgetKeyIn,
    ForgottenKeyOut,
    InventoryIn,
    InventoryOut,
    LogOut,
    PasswordIn,
    RemovedOut,
    SshHostOut,
)

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
    return services.access.read_inventory(request)


@router.get("/devices/ssh-hosts")
def list_ssh_hosts(services: ServicesDep) -> list[SshHostOut]:
    """List the hosts of the user's `~/.ssh/config` that can be registered by their alias."""
    return services.access.ssh_hosts()


@router.post("/devices/{name}/check")
def check_device(services: ServicesDep, name: str, request: CheckIn | None = None) -> DeviceOut:
    """Check a device anew, with a host key's fingerprint that the person has confirmed where it was not known."""
    return services.devices.check(name, None if request is None else request.trusted_fingerprint)


@router.post("/devices/{name}/password")
def set_password(services: ServicesDep, name: str, request: PasswordIn) -> DeviceOut:
    """Give a device's password again, as after a restart of the studio; the device is checked with it."""
    return services.access.set_password(name, request.password, keep=request.keep)


@router.post("/devices/{name}/forget-key")
def forget_key(services: ServicesDep, name: str, request: ForgetKeyIn | None = None) -> ForgottenKeyOut:
    """Forget a device's host key, where it was changed for a good reason; the next check asks about the new one."""
    return services.access.forget_key(name, jump_hosts=request is not None and request.jump_hosts)


@router.post("/host-keys/forget")
def forget_key_of_address(services: ServicesDep, request: ForgetAddressIn) -> ForgottenKeyOut:
    """Forget the host key of an address, as before another board is added that has it now."""
    return services.access.forget_address(request.address)


@router.delete("/devices/{name}")
def remove_device(services: ServicesDep, name: str) -> RemovedOut:
    """Remove a device: end its agent, delete what was installed there, forget it."""
    return services.devices.remove(name)


@router.get("/devices/{name}/log")
def read_log(services: ServicesDep, name: str, lines: Annotated[int, Query(ge=1, le=5000)] = 200) -> LogOut:
    """Read the last lines of the device's agent log."""
    return LogOut(device=name, lines=services.devices.log(name, lines))
