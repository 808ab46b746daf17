# ruff: noqa: UP006, UP035, UP045 - this file runs on Python 3.8.
"""The hosts of one run: connected, checked, given what they lack, their agents started, and all of it ended again."""

import functools
import queue
import secrets
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from partition_agent.standalone_stream import Message
from partition_studio.export.starter.channel import ALIVE_EVERY_S, END_S, Channel, program, ssh_command
from partition_studio.export.starter.errors import InterruptedRunError, StartError
from partition_studio.export.starter.hosts import Host
from partition_studio.export.starter.package import ARCHITECTURES, File, Package

#: Another device of the run may be the same host and bring its things first.
BRING_S = 1800.0
INSTALL_S = 1200.0

Say = Callable[[str], None]
#: What one of `each` has to do, by the name that it is shown under.
Work = Mapping[str, Callable[[], Message]]


class Crew:
    """All connections of one run. Leaving it ends every process that it started, here and on the hosts."""

    def __init__(
        self, package: Package, hosts: Mapping[str, Host], config: Optional[str], say: Say, listen: Say
    ) -> None:
        """`config` is a configuration file for ssh, `say` tells the person of steps, `listen` what the hosts say."""
        self.package, self._hosts, self._config, self._say, self._listen = package, hosts, config, say, listen
        self.run = secrets.token_hex(8)
        self.agents: Dict[str, Channel] = {}
        self.facts: Dict[str, Message] = {}
        #: Connections that ended by themselves.
        self.lost: queue.Queue[Channel] = queue.Queue()
        self._channels: List[Channel] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(len(hosts) + 1)
        self._pulse = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Crew":
        self._pulse.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every connection, and with it what runs at its other end. May be called again."""
        with self._lock:
            self._closed.set()
            channels = list(self._channels)
        for channel in channels:
            channel.hang_up()
        deadline_s = time.monotonic() + END_S
        for channel in channels:
            channel.wait(deadline_s)
        self._pool.shutdown()

    def each(self, work: Work) -> Dict[str, Message]:
        """Do several things at once; the first failure ends everything and is raised."""
        futures: Dict[str, Future[Message]] = {name: self._pool.submit(job) for name, job in work.items()}
        done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
        if any(future.exception() is not None for future in done):
            # What failed first is the reason; the others fail because everything is ended.
            first = [error for future in done if (error := future.exception()) is not None]
            self.close()
            later = [error for future in futures.values() if (error := future.exception()) is not None]
            raise next((error for error in (*first, *later) if not isinstance(error, InterruptedRunError)), later[0])
        return {name: future.result() for name, future in futures.items()}

    def connect(self, device: str) -> Tuple[Channel, Message]:
        """Connect to a host; return the conversation and what the host says of itself. Raises StartError."""
        host = self._hosts[device]
        pythons = [host.python] if host.python else self.package.pythons()
        with self._lock:
            if self._closed.is_set():
                raise InterruptedRunError(f"{device}: not connected any more", "", "interrupted")
            channel = Channel(host, ssh_command(host, pythons, self._config), self._listen)
            self._channels.append(channel)
        facts = channel.greet(program(self.package.agent_digest))
        channel.on_lost = self.lost.put
        return channel, facts

    def check(self, device: str) -> Message:
        """Look whether a host can run the agent, and change nothing there. Raises StartError."""
        return self._reach(device)[1]

    def start(self, door: str) -> Channel:
        """Bring every device its agent and sub-models, and start it; source and sink too, on the device `door`.

        Nothing is sent before every host was reached and found suitable. Returns the conversation with the door. Raises
        StartError.
        """
        roles = [*((device, "agent") for device in self._hosts), (door, "door")]
        reached: Dict[Tuple[str, str], Tuple[Channel, Message]] = {}
        started: Dict[Tuple[str, str], Channel] = {}

        def reach(place: Tuple[str, str]) -> Message:
            reached[place] = self._reach(place[0])
            return {}

        def start(place: Tuple[str, str]) -> Message:
            started[place] = self._start(*place, *reached[place])
            return {}

        for step in (reach, start):
            self.each({"/".join(place): functools.partial(step, place) for place in roles})
        self.agents = {device: started[device, "agent"] for device in self._hosts}
        return started[door, "door"]

    def _reach(self, device: str) -> Tuple[Channel, Message]:
        channel, facts = self.connect(device)
        require_suitable(device, facts)
        return channel, facts

    def _start(self, device: str, role: str, channel: Channel, facts: Message) -> Channel:
        models = self.package.models(device) if role == "agent" else []
        bundle = self.package.bundle(facts)
        release = f"cp{facts['python'][0]}{facts['python'][1]}-" + (
            bundle.sha256[:12] if bundle is not None else "index"
        )
        there = channel.request(
            {"op": "begin", "release": release, "models": [model.sha256 for model in models]}, timeout_s=BRING_S
        )
        if not there["installed"]:
            self._install(channel, device, release, bundle)
        missing = [model for model in models if model.sha256 in there["missing"]]
        if missing:
            self._say(f"{device}: sending {len(missing)} sub-models, {megabytes(missing)}")
        for model in missing:
            send(channel, "model", model)
        agent = channel.become(
            {
                "op": "become",
                "role": role,
                "run": f"{self.run}-{self._folder_name(device)}-{role}",
                "release": release,
                "package": self.package.digest,
                "models": [model.sha256 for model in models],
                "cores": list(self._hosts[device].cores),
            }
        )
        if role == "agent":
            self.facts[device] = {**facts, **agent}
            version = ".".join(str(part) for part in facts["python"])
            cores = f"{agent['cores']:g} core" + ("" if agent["cores"] == 1 else "s")
            self._say(f"{device}: ready ({facts['machine']}, Python {version}, {cores})")
        return channel

    def _folder_name(self, device: str) -> str:
        """Return a device's name as a file may be called; its number tells apart what is called the same then."""
        safe = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in device[:40])
        return f"{list(self._hosts).index(device)}-{safe}"

    def _install(self, channel: Channel, device: str, release: str, bundle: Optional[File]) -> None:
        message = {"op": "install", "release": release}
        if bundle is not None:
            self._say(f"{device}: sending the agent's packages, {megabytes([bundle])}")
            send(channel, "bundle", bundle)
            message["bundle"] = bundle.path.name
        else:
            self._say(f"{device}: has no wheels here; its own pip fetches them")
            for file in (self.package.agent_wheel, self.package.requirements):
                send(channel, "file", file)
            message["wheel"], message["requirements"] = (
                self.package.agent_wheel.path.name,
                self.package.requirements.path.name,
            )
        self._say(f"{device}: installing")
        channel.request(message, timeout_s=INSTALL_S)

    def _beat(self) -> None:
        """Let the agents know that we are here: who hears nothing ends."""
        while not self._closed.wait(ALIVE_EVERY_S):
            for channel in list(self._channels):
                if channel.is_agent:
                    try:
                        channel.tell({"op": "alive"})
                    except StartError:
                        # Whoever waits for that host is told.
                        continue


def send(channel: Channel, kind: str, file: File) -> None:
    """Send a file of the package. Raises StartError."""
    channel.send_file({"op": "put", "kind": kind, "name": file.path.name, "sha256": file.sha256}, file.path)


def megabytes(files: Sequence[File]) -> str:
    """Return the size of some files in words."""
    return f"{sum(file.size_bytes for file in files) / 1e6:.1f} MB"


def require_suitable(device: str, facts: Message) -> None:
    """Raise StartError for a host that cannot run the agent."""
    if facts["system"] != "Linux":
        raise StartError(f"{device} runs {facts['system']}; the agent needs Linux", "Choose another host.", "platform")
    if facts["machine"].lower() not in ARCHITECTURES:
        raise StartError(
            f"{device} has a {facts['machine']} processor, for which ONNX Runtime has no packages",
            "Choose a 64-bit host.",
            "platform",
        )
