# ruff: noqa: UP006, UP035, UP045 - this file runs on the device, on Python 3.6.
"""The processor, its heat and its throttling. Python 3.6, no packages; `root` replaces `/` in the tests."""

import glob
import os
import re
from typing import Any, Dict, List, Optional, Tuple

from partition_studio.fleet.on_device.probe_system import number, read, said

#: Bits of the Raspberry Pi firmware's `get_throttled`; 16 bits higher: has been so since boot.
THROTTLED_BITS = ((0, "under_voltage"), (1, "capped"), (2, "throttled"), (3, "soft_limit"))

#: What a sensor may say: some report nonsense when their part sleeps.
PLAUSIBLE_C = (-40.0, 150.0)


def cpu(root: str) -> Dict[str, Any]:
    """Return the processor's maker and its flags, as the kernel names them."""
    text = read(root + "/proc/cpuinfo")
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.M)
    vendor = re.search(r"^(?:vendor_id|CPU implementer)\s*:\s*(.*)$", text, re.M)
    return {
        "vendor": vendor.group(1).strip() if vendor else "",
        "flags": sorted(set(flags.group(1).split()))[:400] if flags else None,
    }


def thermal(root: str) -> Dict[str, Any]:
    """Return the highest temperature, what slows the device now and did since boot, and the cores' frequency."""
    now, before = _firmware(root)
    for state in sorted(glob.glob(root + "/sys/class/thermal/cooling_device*/cur_state")):
        kind = read(os.path.join(os.path.dirname(state), "type")).strip().lower()
        if kind.startswith(("processor", "thermal-cpufreq", "cpufreq", "intel_powerclamp")) and _int(state) > 0:
            now.append("throttled")
    for count in glob.glob(root + "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count"):
        if _int(count) > 0:
            before.append("throttled")
    return {
        "temperature_c": _temperature_c(root),
        "throttled": sorted(set(now)),
        "throttled_before": sorted(set(before)),
        "frequency_ratio": _frequency_ratio(root),
    }


def _int(path: str) -> int:
    return number(read(path)) or 0


def _temperature_c(root: str) -> Optional[float]:
    values = [number(read(path)) for path in glob.glob(root + "/sys/class/thermal/thermal_zone*/temp")]
    degrees = [value / 1000.0 for value in values if value is not None]
    likely = [value for value in degrees if PLAUSIBLE_C[0] < value < PLAUSIBLE_C[1]]
    return max(likely) if likely else None


def _frequency_ratio(root: str) -> Optional[float]:
    ratios = []
    for folder in glob.glob(root + "/sys/devices/system/cpu/cpu[0-9]*/cpufreq"):
        present, highest = _int(folder + "/scaling_cur_freq"), _int(folder + "/cpuinfo_max_freq")
        if present > 0 and highest > 0:
            ratios.append(min(1.0, present / float(highest)))
    return sum(ratios) / len(ratios) if ratios else None


def _firmware(root: str) -> Tuple[List[str], List[str]]:
    """Return what a Raspberry Pi's firmware says of now, and of the time since boot."""
    text = read(root + "/sys/devices/platform/soc/soc:firmware/get_throttled").strip()
    if not text and "raspberry" in read(root + "/proc/device-tree/model").lower():
        text = said(["vcgencmd", "get_throttled"]).strip().replace("throttled=", "")
    try:
        bits = int(text, 16)
    except ValueError:
        return [], []
    now = [name for bit, name in THROTTLED_BITS if bits >> bit & 1]
    return now, [name for bit, name in THROTTLED_BITS if bits >> (bit + 16) & 1]
