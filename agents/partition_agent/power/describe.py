"""List the power sources of a device, used or not: `python3 -c 'from partition_agent.power.describe import ...'`.

It needs nothing but this package, `system.py` and the package's `__init__.py`, so that it also runs on a device where
the agent is not installed yet.
"""

from pathlib import Path
from typing import Dict, List, Optional

from partition_agent.power import battery, hwmon, ina2xx, ina238, jetson, nvml, pi5, rapl
from partition_agent.power.reader import Finding
from partition_agent.system import ROOT


def find_all(root: Path = ROOT, shunt_ohm: Optional[float] = None) -> List[Finding]:
    """Return every source of the device itself; plugs and models are declared, not found."""
    return [
        *ina238.find(root),
        *pi5.find(root),
        *jetson.find(root),
        *rapl.find(root),
        *ina2xx.find(root, shunt_ohm),
        *hwmon.find(root),
        *nvml.find(root),
        *battery.find(root),
    ]


def describe(root: Path = ROOT, shunt_ohm: Optional[float] = None) -> List[Dict[str, object]]:
    """Return each source as `source, scope, method, usable, detail, admin_command, admin_exposes`."""
    findings = find_all(root, shunt_ohm)
    for finding in findings:
        if finding.reader is not None:
            finding.reader.close()
    return [finding.described() for finding in findings]
