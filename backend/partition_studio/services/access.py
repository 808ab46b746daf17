"""How the studio gets into devices: passwords, host keys, and the hosts that others have listed already."""

from collections.abc import Sequence

from partition_studio.errors import BadInputError
from partition_studio.fleet.address import LocalAddress, parse_address
from partition_studio.fleet.ssh.hostkeys import KnownKey
from partition_studio.schemas import (
    DeviceOut,
    ForgottenKeyOut,
    InventoryIn,
    InventoryOut,
    KnownKeyOut,
    SshHostOut,
)
from partition_studio.services.devices import DeviceService
from partition_studio.services.inventory import inventory_out


class AccessService:
    """Passwords, host keys and lists of hosts. Every call may block; thread-safe."""

    def __init__(self, devices: DeviceService) -> None:
        self._devices = devices

    def set_password(self, name: str, password: str, *, keep: bool) -> DeviceOut:
        """Use another password for a device, and check it. Raises NoKeyringError when it cannot be kept as asked."""
        row = self._devices.row(name)
        if row.address.startswith("local:"):
            raise BadInputError(f"{name} is this machine: nobody logs in there", next_step="It needs no password.")
        device, passwords = self._devices.session(name), self._devices.sessions.passwords
        if not keep and row.login == "keyring":
            passwords.forget(name, "keyring")
        kept = passwords.keep(name, password, in_keyring=keep)
        device.link.set_password(password)
        self._devices.note_login(name, kept)
        return self._devices.check(name)

    def forget_key(self, name: str, *, jump_hosts: bool) -> ForgottenKeyOut:
        """Forget a device's host key, so that a new one can be confirmed; only the studio's own file is changed."""
        removed, left = self._devices.session(name).link.forget_host_keys(jump_hosts=jump_hosts)
        return ForgottenKeyOut(device=name, removed=removed, elsewhere=_elsewhere(left))

    def forget_address(self, text: str) -> ForgottenKeyOut:
        """Forget the host key of an address, whether or not a device has it; only the studio's own file is changed.

        Raises AddressError.
        """
        address = parse_address(text if "://" in text or text == "local:" else f"ssh://{text}")
        if isinstance(address, LocalAddress):
            raise BadInputError("This machine has no host key for the studio", next_step="Give ssh://user@host.")
        removed, left = self._devices.sessions.forget_address(
            address, [self._devices.row(x) for x in self._devices.names()]
        )
        return ForgottenKeyOut(device=text, removed=removed, elsewhere=_elsewhere(left))

    def read_inventory(self, request: InventoryIn) -> InventoryOut:
        """Say what the hosts of an inventory file would be registered as. Raises InventoryError."""
        return inventory_out(request, set(self._devices.names()))

    def ssh_hosts(self) -> list[SshHostOut]:
        """List the hosts of the user's `~/.ssh/config` that can be registered by their alias. Raises SshConfigError."""
        return [
            SshHostOut(
                alias=host.alias,
                host=host.route.target.address.host,
                user=host.route.target.address.user,
                port=host.route.target.address.port,
                jump=", ".join(hop.address.short for hop in host.route.jumps) or None,
            )
            for host in self._devices.sessions.ssh_config.hosts()
        ]


def _elsewhere(keys: Sequence[KnownKey]) -> list[KnownKeyOut]:
    """Return the keys of files that are not the studio's to change."""
    return [KnownKeyOut(file=str(known.file), line=known.line, fingerprint=known.key.fingerprint) for known in keys]
