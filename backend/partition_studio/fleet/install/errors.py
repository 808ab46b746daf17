"""What can go wrong with the agent's packages on a device, beside what `errors` has."""

from partition_studio.errors import DeviceError


class UnhealthyReleaseError(DeviceError):
    """The agent's new release does not work on the device; it was removed, and the one before is still in place."""

    code = "release_unhealthy"
    next_step = "Read what its trial said; check the device's memory, disk and processor, then try again."


class PackagesGoneError(DeviceError):
    """Another studio's installation removed packages that ours counted on."""

    code = "packages_gone"
    next_step = "Try again: they are sent anew."
