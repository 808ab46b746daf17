# ruff: noqa: UP006, UP035, UP045 - this file runs on Python 3.8.
"""`./start`: runs an exported pipeline on its hosts by SSH, with nothing but Python and ssh on this machine."""

import argparse
import contextlib
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Dict, Iterator, List, Optional

from partition_agent.standalone_stream import Message
from partition_studio.export.starter.arrays import read_frames
from partition_studio.export.starter.crew import Crew
from partition_studio.export.starter.errors import StartError, UsageError
from partition_studio.export.starter.hosts import Host, read_hosts
from partition_studio.export.starter.package import HOSTS, Package, open_package
from partition_studio.export.starter.pipeline import Pipeline
from partition_studio.export.starter.results import Results, print_table, self_test, summary

MAX_IN_FLIGHT = 64

_telling = threading.Lock()


def tell(text: str) -> None:
    """Say a line about what is going on."""
    with _telling:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def arguments(given: Optional[List[str]]) -> argparse.Namespace:
    """Return what the command line says; exits with a message when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="start", description="Runs the network of this folder on the hosts of hosts.json, by SSH."
    )
    parser.add_argument("inputs", nargs="*", type=Path, metavar="INPUT", help=".npz or .npy files with frames")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the outputs to this .npz file")
    parser.add_argument("--frames", type=int, metavar="N", help="send N frames, beginning anew after the last input")
    parser.add_argument("--in-flight", type=int, metavar="K", help="frames under way at most; 1: one after the other")
    parser.add_argument("--self-test", action="store_true", help="send the recorded frame alone and compare")
    parser.add_argument("--check", action="store_true", help="only look whether every host can run its part")
    parser.add_argument("--stop", action="store_true", help="end what runs of this package on the hosts")
    parser.add_argument("--uninstall", action="store_true", help="end it, and remove everything from the hosts")
    parser.add_argument("--hosts", type=Path, metavar="FILE", help="another hosts file than hosts.json")
    parser.add_argument("--door", metavar="DEVICE", help="where frames enter and leave; the first device if left out")
    parser.add_argument("--ssh-config", metavar="FILE", help="configuration file for ssh (its option -F)")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="S", help="longest wait for a frame, seconds")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    parser.add_argument("--verbose", action="store_true", help="show what the hosts' agents say")
    found = parser.parse_args(given)
    modes = found.self_test + found.check + found.stop + found.uninstall
    if modes > 1 or bool(modes) == bool(found.inputs):
        parser.error("give input files, or one of --self-test, --check, --stop and --uninstall")
    if found.out is not None and not found.inputs:
        parser.error("--out needs input files")
    if (found.frames is not None and found.frames < 1) or not 1 <= (found.in_flight or 1) <= MAX_IN_FLIGHT:
        parser.error(f"--frames begins at 1, --in-flight lies between 1 and {MAX_IN_FLIGHT}")
    return found


def main(folder: Path, given: Optional[List[str]] = None) -> int:
    """Run; return the exit status: 0 well, 1 failed, 2 wrong use, 130 interrupted."""
    asked = arguments(given)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        package = open_package(folder)
        hosts = read_hosts(asked.hosts or folder / HOSTS, package.devices)
        if asked.door is not None and asked.door not in hosts:
            raise UsageError(f"--door: there is no device {asked.door!r}", f"Choose one of {', '.join(hosts)}.")
        listen = tell if asked.verbose else _ignore
        with Crew(package, hosts, asked.ssh_config, tell, listen) as crew, _uninterrupted_end(crew):
            if asked.stop or asked.uninstall:
                return clear(crew, hosts, "uninstall" if asked.uninstall else "stop")
            if asked.check:
                return check(crew, hosts)
            return run(crew, hosts, package, asked)
    except StartError as error:
        tell(f"error: {error.message}")
        if error.next_step:
            tell(f"       {error.next_step}")
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        tell("interrupted; nothing was left running")
        return 130


def run(crew: Crew, hosts: Dict[str, Host], package: Package, asked: argparse.Namespace) -> int:
    """Bring the pipeline up, prove it, and send the person's frames through it."""
    frames = read_frames(asked.inputs, package.all_inputs)
    results = Results(asked.out, package)
    try:
        door = crew.start(asked.door or package.devices[0])
        pipeline = Pipeline(crew, door, asked.timeout)
        tell("connecting the devices to one another")
        for note in pipeline.open(hosts):
            tell(note)
        tell(self_test(package, pipeline))
        pipeline.tell_speeds()
        if asked.self_test:
            return 0
        # Every stage has one frame to compute and one that waits; of a replicated stage, every instance.
        stages = sum(len(package.share(device)["stages"]) for device in package.devices)
        window = asked.in_flight or min(2 * stages + 2, MAX_IN_FLIGHT)
        before = pipeline.figures()
        totals = pipeline.run([parts for _, parts in frames], asked.frames or len(frames), window, results.add)
        figures = summary(package, totals, before, pipeline.figures(), window)
        results.keep()
    finally:
        results.drop()
    if asked.json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    else:
        print_table(figures)
    for number, reason in totals.lost[:5]:
        tell(f"frame {number} was lost: {reason}")
    return 1 if totals.lost else 0


def check(crew: Crew, hosts: Dict[str, Host]) -> int:
    """Tell what every host is; change nothing there."""

    def of(device: str) -> Message:
        facts = crew.check(device)
        bundle = crew.package.bundle(facts)
        wheels = "wheels are here" if bundle is not None else "no wheels here: its own pip would fetch them"
        version = ".".join(str(part) for part in facts["python"])
        tell(f"{device}: {facts['machine']}, Python {version} ({facts['executable']}), {wheels}")
        return facts

    crew.each({device: lambda device=device: of(device) for device in hosts})  # type: ignore[misc]
    return 0


def clear(crew: Crew, hosts: Dict[str, Host], operation: str) -> int:
    """End what runs on the hosts, and with `uninstall` remove what is there."""

    def on(device: str) -> Message:
        channel, _ = crew.connect(device)
        answer = channel.request({"op": operation, "package": crew.package.digest})
        removed = (
            "" if operation == "stop" else ", everything removed" if answer["removed"] else ", nothing was installed"
        )
        tell(f"{device}: {answer['ended']} processes ended{removed}")
        return answer

    crew.each({device: lambda device=device: on(device) for device in hosts})  # type: ignore[misc]
    return 0


@contextlib.contextmanager
def _uninterrupted_end(crew: Crew) -> Iterator[None]:
    """End everything in order; a second Ctrl+C does not keep us from it (it takes some seconds at most)."""
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        crew.close()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _ignore(text: str) -> None:
    return
