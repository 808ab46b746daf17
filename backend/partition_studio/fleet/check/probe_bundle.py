"""What the check sends to a device: one shell script, and inside of it the modules that a Python there runs."""

import base64
import json
import shlex
import zlib
from importlib import resources

#: Sent modules, by the name under which they are imported there. The agent's readers of power sources go along, so that
#: the check tells of the very sources that the agent would use; so does the installation's look at what starts it.
_OWN_MODULES = (
    "probe_script",
    "probe_system",
    "probe_hardware",
    "probe_accelerators",
    "device_autostart",
    "device_files",
)
_AGENT_MODULES = ("system",)
_AGENT_FOLDERS = ("power",)

#: Python 3.6. Imports what was sent without writing a file: a check leaves nothing behind.
_START = """\
import base64, importlib.abc, importlib.util, json, os, sys, zlib
SOURCES = json.loads(zlib.decompress(base64.b64decode(os.environ.pop("PROBE"))).decode())
class Sent(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path, target=None):
        if name not in SOURCES:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=SOURCES[name][0])
    def create_module(self, spec):
        return None
    def is_package(self, name):
        return SOURCES[name][0]
    def get_source(self, name):
        return SOURCES[name][1]
sys.meta_path.insert(0, Sent())
from partition_studio.fleet.on_device import probe_script
probe_script.main()
"""


def check_script(base_dir: str, python: str = "") -> bytes:
    """Return what `sh -s` reads on stdin; `base_dir` may be empty, then it is below the user's home.

    `python` is the one that the agent will run by, where that is known: then none is looked for.
    """
    package = resources.files("partition_studio.fleet.on_device")
    # Single quotes keep a shell from reading anything; the variables travel on stdin, not in argv. The clock is read
    # before the rest has arrived, so that its two readings lie as far apart as possible.
    head = (
        "printf 'partition-studio\\tclock_begin\\t%s\\n' \"$(date +%s.%N 2>/dev/null)\"\n"
        f"PROBE={shlex.quote(_packed())}\nSTART={shlex.quote(_START)}\nBASE={shlex.quote(base_dir)}\n"
        f"PYTHON={shlex.quote(python)}\nexport PROBE\n"
    )
    return (head + package.joinpath("probe.sh").read_text(encoding="utf-8")).encode()


def _packed() -> str:
    """Return every module, compressed, as one word."""
    own, agent = resources.files("partition_studio.fleet.on_device"), resources.files("partition_agent")
    packages = ("partition_studio", "partition_studio.fleet", "partition_studio.fleet.on_device", "partition_agent")
    sources: dict[str, tuple[bool, str]] = dict.fromkeys(packages, (True, ""))
    for name in _OWN_MODULES:
        text = own.joinpath(f"{name}.py").read_text(encoding="utf-8")
        sources[f"partition_studio.fleet.on_device.{name}"] = (False, text)
    for name in _AGENT_MODULES:
        sources[f"partition_agent.{name}"] = (False, agent.joinpath(f"{name}.py").read_text(encoding="utf-8"))
    for folder in _AGENT_FOLDERS:
        for entry in agent.joinpath(folder).iterdir():
            if entry.name.endswith(".py"):
                inner = entry.name.removesuffix(".py")
                name = f"partition_agent.{folder}" + ("" if inner == "__init__" else f".{inner}")
                sources[name] = (inner == "__init__", entry.read_text(encoding="utf-8"))
    return base64.b64encode(zlib.compress(json.dumps(sources).encode(), 9)).decode()
