# ruff: noqa: UP006, UP035, UP032 - this file runs on the device, on Python 3.6.
"""GPUs and NPUs that the kernel knows. Python 3.6, no packages; `root` replaces `/` in the tests."""

import glob
import os
import re
from typing import Dict, List, Set

from partition_studio.fleet.on_device.probe_system import read

#: PCI makers of GPUs.
GPU_VENDORS = {"0x8086": ("intel_gpu", "Intel GPU"), "0x1002": ("amd_gpu", "AMD GPU")}

#: Device nodes that only such a part has.
NODES = (
    ("/dev/apex_[0-9]*", "coral", "Coral Edge TPU"),
    ("/dev/hailo[0-9]*", "hailo", "Hailo NPU"),
    ("/dev/rknpu*", "rockchip_npu", "Rockchip NPU"),
    ("/sys/class/devfreq/*.npu", "rockchip_npu", "Rockchip NPU"),
    ("/dev/mali[0-9]*", "mali_gpu", "ARM Mali GPU"),
    ("/dev/kgsl-3d0", "adreno_gpu", "Qualcomm Adreno GPU"),
)

#: USB ids (maker, product) of a Coral stick, before and after its firmware is loaded.
CORAL_USB = (("1a6e", "089a"), ("18d1", "9302"))

#: Drivers of GPUs of boards, and of NPUs below /sys/class/accel.
GPU_DRIVERS = {"v3d": ("videocore_gpu", "Broadcom VideoCore GPU"), "panfrost": ("mali_gpu", "ARM Mali GPU")}
NPU_DRIVERS = {"intel_vpu": ("intel_npu", "Intel NPU"), "rocket": ("rockchip_npu", "Rockchip NPU")}

JETSON_NODES = ("/dev/nvhost-gpu", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu/igpu0", "/dev/nvmap")


def accelerators(root: str) -> List[Dict[str, str]]:
    """Return kind, name and detail of each; one that several nodes show is told once."""
    found: List[Dict[str, str]] = []
    for entry in _jetson(root) + _nvidia(root) + _drm(root) + _accel(root) + _nodes(root) + _usb(root):
        if entry not in found and not any(entry["kind"] == other["kind"] and not entry["detail"] for other in found):
            found.append(entry)
    return found


def _entry(kind: str, name: str, detail: str) -> Dict[str, str]:
    return {"kind": kind, "name": name, "detail": detail}


def _jetson(root: str) -> List[Dict[str, str]]:
    release = read(root + "/etc/nv_tegra_release").strip()
    compatible = read(root + "/proc/device-tree/compatible").replace("\0", " ")
    if not release and "nvidia,tegra" not in compatible:
        return []
    match = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    linux = "L4T {}.{}".format(match.group(1), match.group(2)) if match else "no L4T release file"
    nodes = [node for node in JETSON_NODES if os.path.exists(root + node)]
    return [_entry("jetson", "NVIDIA Jetson GPU", linux + (", " + nodes[0] if nodes else ", no device node"))]


def _nvidia(root: str) -> List[Dict[str, str]]:
    version = re.search(r"Kernel Module\D*(\d[\d.]*)", read(root + "/proc/driver/nvidia/version"))
    driver = "driver " + version.group(1) if version else "driver unknown"
    found = []
    for path in sorted(glob.glob(root + "/proc/driver/nvidia/gpus/*/information")):
        name = re.search(r"^Model:\s*(.+)$", read(path), re.M)
        place = os.path.basename(os.path.dirname(path))
        found.append(_entry("nvidia", name.group(1).strip() if name else "NVIDIA GPU", driver + ", " + place))
    if not found:
        nodes = sorted(glob.glob(root + "/dev/nvidia[0-9]*"))
        found = [_entry("nvidia", "NVIDIA GPU", driver + ", " + node[len(root) :]) for node in nodes]
    return found


def _drm(root: str) -> List[Dict[str, str]]:
    found = []
    seen: Set[str] = set()
    for card in sorted(glob.glob(root + "/sys/class/drm/card[0-9]*")):
        folder = os.path.join(card, "device")
        place = os.path.realpath(folder)
        if "-" in os.path.basename(card) or place in seen:
            continue
        seen.add(place)
        match = re.search(r"^DRIVER=(.+)$", read(folder + "/uevent"), re.M)
        driver = match.group(1) if match else ""
        known = GPU_VENDORS.get(read(folder + "/vendor").strip()) or GPU_DRIVERS.get(driver)
        if known:
            render = bool(glob.glob(root + "/dev/dri/renderD*"))
            nodes = "/dev/dri" if render else "no /dev/dri/renderD*"
            found.append(_entry(known[0], known[1], "driver {}, {}".format(driver or "unknown", nodes)))
    return found


def _accel(root: str) -> List[Dict[str, str]]:
    found = []
    for entry in sorted(glob.glob(root + "/sys/class/accel/accel[0-9]*")):
        match = re.search(r"^DRIVER=(.+)$", read(entry + "/device/uevent"), re.M)
        driver = match.group(1) if match else ""
        kind, name = NPU_DRIVERS.get(driver, ("npu", "NPU"))
        found.append(
            _entry(kind, name, "driver {}, /dev/accel/{}".format(driver or "unknown", os.path.basename(entry)))
        )
    return found


def _nodes(root: str) -> List[Dict[str, str]]:
    found = []
    told: Set[str] = set()
    for pattern, kind, name in NODES:
        for path in sorted(glob.glob(root + pattern)):
            if kind not in told:
                told.add(kind)
                found.append(_entry(kind, name, path[len(root) :]))
    return found


def _usb(root: str) -> List[Dict[str, str]]:
    found = []
    for path in sorted(glob.glob(root + "/sys/bus/usb/devices/*/idVendor")):
        ids = (read(path).strip(), read(os.path.join(os.path.dirname(path), "idProduct")).strip())
        if ids in CORAL_USB:
            found.append(_entry("coral", "Coral Edge TPU", "USB " + ":".join(ids)))
    return found
