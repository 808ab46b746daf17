"""What the hosts of an inventory file would be registered as."""

from pydantic import ValidationError

from partition_studio.fleet.inventory.inventory import InventoryError, InventoryHost, read_inventory
from partition_studio.schemas import DeviceIn, InventoryEntryOut, InventoryIn, InventoryOut, ProblemOut


def inventory_out(request: InventoryIn, registered: set[str]) -> InventoryOut:
    """Read an inventory; nothing is registered. Raises InventoryError."""
    inventory = read_inventory(request.text, request.format)
    return InventoryOut(entries=[_entry(host, registered) for host in inventory.hosts], ignored=[*inventory.ignored])


def _entry(host: InventoryHost, registered: set[str]) -> InventoryEntryOut:
    device, problem = None, host.problem
    if host.device is not None:
        try:
            device = DeviceIn.model_validate(host.device)
        except ValidationError as error:
            fault = error.errors()[0]
            problem = InventoryError(f"{host.name[:80]!r}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}")
    return InventoryEntryOut(
        device=device,
        name=host.name,
        group=host.group,
        problem=None if problem is None else ProblemOut.of(problem),
        registered=device is not None and device.name in registered,
    )
