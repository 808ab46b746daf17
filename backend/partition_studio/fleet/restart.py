"""How the agent is started on a device, and whether it comes back after a reboot. Pure."""

from partition_studio.fleet.facts import DeviceFacts, Restart

#: systemd 255 may end a lingering user's services when his last login ends; 256.3 mended it.
BROKEN_LINGER = 255


def restart(facts: DeviceFacts) -> Restart:
    """Return how the agent is started there, and whether the device starts it again after a reboot."""
    if not facts.is_systemd:
        return Restart("detached", after_reboot=False, note=_DETACHED.format("systemd does not run it"))
    if not facts.has_systemd_user:
        note = _DETACHED.format("systemd has no service manager for this user")
        return Restart("detached", after_reboot=False, note=note)
    if facts.systemd_version == BROKEN_LINGER:
        why = "its systemd 255 may end the services of a user who logs out (mended in 256.3)"
        return Restart("detached", False, _DETACHED.format(why), "Update systemd, then check again.")
    if not facts.lingers:
        return Restart(
            "systemd",
            after_reboot=False,
            note="the agent does not start again after a reboot: this user's services run only while he is logged in",
            next_step="On the device, once: loginctl enable-linger (some systems ask for an administrator).",
        )
    return Restart("systemd", after_reboot=True, note="a systemd user service that starts with the device")


_DETACHED = "the agent does not start again after a reboot, the studio starts it when it is needed: {}"
