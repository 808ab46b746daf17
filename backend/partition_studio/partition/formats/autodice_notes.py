"""What a person should know of the hosts that a mapping names, although nothing is wrong."""

import re
from collections.abc import Mapping

from partition_studio.partition.formats.autodice_names import HostResource
from partition_studio.partition.formats.imported import listed, shown
from partition_studio.partition.plan import Plan

#: What looks like a resource after a host's name, but is none of AutoDiCE's.
_LOOKS_LIKE_ONE = re.compile(r"(?:[tnvdia]pu|cuda|core|fpga|dla)s?[0-9]*", re.IGNORECASE)


def host_notes(hosts: Mapping[str, HostResource], plan: Plan) -> tuple[str, ...]:
    """Return sentences on keys of one host that became different devices, and on endings that are no resources."""
    return (*_parted(hosts, plan), *_unknown_endings(hosts))


def _parted(hosts: Mapping[str, HostResource], plan: Plan) -> list[str]:
    notes = []
    for host in dict.fromkeys(named.host for named in hosts.values()):
        keys = [key for key, named in hosts.items() if named.host == host]
        # Keys that the person named himself are as he wants them.
        own = [key for key in keys if plan.device_of(key) == key]
        if len(own) > 1:
            notes.append(
                f"{listed(own)} name one host, {shown(host)}, but are {len(own)} devices of the plan, as nothing says "
                f"which device that host is. Say it (`--device {host}=NAME`) to make them parts of one device."
            )
    return notes


def _unknown_endings(hosts: Mapping[str, HostResource]) -> list[str]:
    notes = []
    known = {named.host for named in hosts.values() if named.processor}
    for key, named in hosts.items():
        host, _, ending = key.rpartition("_")
        if named.processor or not host or not (host in known or host in hosts or _LOOKS_LIKE_ONE.fullmatch(ending)):
            continue
        notes.append(
            f"{shown(key)} is taken for a host of its own: {shown(ending)} is no resource (`cpu` or `arm` with core "
            "digits, or `gpu`)."
        )
    return notes
