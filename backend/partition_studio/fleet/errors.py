"""What can go wrong with a device, by what the person can do about it."""

from partition_studio.errors import BadInputError, ConflictError, DeviceError


class AddressError(BadInputError):
    """The address or the name of a device cannot be used."""

    code = "bad_address"
    next_step = "Write the address as ssh://user@host, ssh://user@host:port or local:."


class ForbiddenAddressError(AddressError, DeviceError):
    """A name leads to an address that no device may have."""

    code = "forbidden_address"
    next_step = "Correct what that name stands for (DNS, /etc/hosts, ~/.ssh/config), or give the device's own address."


class SshConfigError(AddressError, DeviceError):
    """What `~/.ssh/config` says of a device cannot be followed."""

    code = "ssh_config"
    next_step = "Correct that entry of ~/.ssh/config, or give the whole address: ssh://user@host:port."


class UnreachableError(DeviceError):
    """No TCP connection to the device: refused, timed out, no route or an unknown name."""

    code = "unreachable"
    next_step = "Check that the device is switched on and on this network, and that its address and port are right."


class NoBannerError(DeviceError):
    """The device takes the connection but no SSH server greets: it hangs, or something else listens there."""

    code = "no_banner"
    next_step = "Restart the device if it hangs, or correct the port if it is not the one of the SSH server."


class SshIncompatibleError(DeviceError):
    """The device's SSH server and the studio have no algorithm in common."""

    code = "ssh_incompatible"
    next_step = "Update the device's SSH server: it must offer ssh-ed25519, ECDSA or rsa-sha2 keys."


class AuthFailedError(DeviceError):
    """The device refuses the key or the password."""

    code = "auth_failed"
    next_step = "Give the right key file or password, or add your public key to the device's ~/.ssh/authorized_keys."


class UnknownHostKeyError(DeviceError):
    """The device was never seen before: its fingerprint must be confirmed by the person."""

    code = "unknown_host_key"
    next_step = "Compare the fingerprint with the device's own (`ssh-keygen -lf` on its host key), then trust it."


class ChangedHostKeyError(DeviceError):
    """The device shows another host key than the one that is known for it."""

    code = "changed_host_key"
    next_step = "If you reinstalled the device, remove the old key and trust the new one; otherwise do not connect."


class PasswordNeededError(AuthFailedError):
    """The device was registered with a password, which was kept in memory only and is gone with the last studio."""

    code = "password_needed"
    next_step = "Give it again (`partition-studio device password NAME`), or add your public key to the device."


class DeviceHeldError(DeviceError, ConflictError):
    """Another studio uses the device."""

    code = "device_held"
    next_step = "Stop the deployment or remove the device there, or wait until that studio has ended."


class DeviceInUseError(DeviceError, ConflictError):
    """Somebody needs the device's agent."""

    code = "device_in_use"
    next_step = "Stop what runs there first."


class DeviceLeavingError(DeviceError, ConflictError):
    """The device is being removed."""

    code = "device_leaving"
    next_step = "Choose another device, or add it again once it is removed."


class ConnectionLostError(DeviceError):
    """The connection to the device ended or froze."""

    code = "connection_lost"
    next_step = "Check the device's power and network; what was begun can be repeated."


class DeviceTimeoutError(DeviceError):
    """The device did not finish in time."""

    code = "device_timeout"
    next_step = "See whether the device is overloaded, then try again."


class BadAnswerError(DeviceError):
    """The device answered something that cannot be read."""

    code = "bad_answer"
    next_step = "See what the device's login prints and whether its Python works, then try again."


class DeviceFileError(DeviceError):
    """A file cannot be written or read on the device."""

    code = "device_file"
    next_step = "Check what is at that path on the device, its owner and its permissions; then try again."


class DiskFullError(DeviceError):
    """There is not enough room on the device."""

    code = "disk_full"
    next_step = "Make room on the device, or put its folder on another disk."


class UploadCorruptError(DeviceError):
    """What arrived on the device is not what was sent."""

    code = "upload_corrupt"
    next_step = "Try again; if it happens twice, check the device's disk or memory card."


class OperationCancelledError(DeviceError):
    """The person cancelled; nothing half-done is in use, and what was sent so far is continued next time."""

    code = "cancelled"
    next_step = "Start it again when you like."


class PythonMissingError(DeviceError):
    """The device has no Python 3."""

    code = "python_missing"
    next_step = "Install python3 on the device."


class PythonTooOldError(DeviceError):
    """No Python of the device is one that ONNX Runtime is built for."""

    code = "python_too_old"
    next_step = "Install a newer CPython on the device (3.8 or later)."


class UnsupportedPlatformError(DeviceError):
    """The inference runtime cannot be had for this system."""

    code = "unsupported_platform"
    next_step = "Use a 64-bit system with glibc on this device, or another device."


class WheelhouseError(DeviceError):
    """The agent's packages for a kind of device could not be fetched."""

    code = "wheelhouse_failed"
    next_step = "Check that pip works where the studio runs (`python -m pip download numpy`), then try again."


class InstallFailedError(DeviceError):
    """The agent's packages could not be unpacked on the device."""

    code = "install_failed"
    next_step = "Read what the device said; nothing half-installed remains there."


class AgentStartError(DeviceError):
    """The agent was started but did not come up."""

    code = "agent_start_failed"
    next_step = "Read the last lines of the agent's log in this message."


class AgentUnreachableError(DeviceError):
    """Nothing, or not our agent, answers on the agent's port."""

    code = "agent_unreachable"
    next_step = "Start the agent again by deploying to the device."


class AgentFaultError(DeviceError):
    """The agent refused a request; `code` is the agent's own."""

    code = "agent_fault"
    next_step = "Read the message; the device's log says more (`partition-studio logs NAME`)."

    def __init__(self, message: str, *, fault_code: str, stage: str | None = None) -> None:
        super().__init__(message, stage=stage)
        self.code = fault_code


def at_jump_host(error: DeviceError, hop: object, target: object) -> None:
    """Say in an error that it happened at a jump host, on the way to another device."""
    error.message = f"On the way to {target}, at the jump host: {error.message}"
    error.args = (error.message,)
    error.details = {**error.details, "address": str(hop), "jump_host": True}


def is_final(error: DeviceError) -> bool:
    """Return whether trying again cannot help, or could do harm: refused logins lock accounts, false keys warn."""
    return isinstance(
        error,
        AuthFailedError
        | UnknownHostKeyError
        | ChangedHostKeyError
        | DeviceHeldError
        | DeviceLeavingError
        | AddressError,
    )
