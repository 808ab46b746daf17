"""The trial of a release before it is used: its runtime works, and its agent comes up.

Runs on the device, on Python 3.8; see `device_script`.
"""

import os
import signal
import subprocess
import sys
import time

from partition_studio.fleet.on_device.device_files import DeviceProblemError, agent_environment, remove_tree
from partition_studio.fleet.on_device.device_process import prepare_folder, start_detached, stop_process

#: Both together may take so long; the release before is the current one all the while.
TRIAL_S = 15.0
_STOP_S = 2.0


def prove(site: str, deadline_s: float = TRIAL_S) -> None:
    """Return when the packages in `site` pass: the self-test, and an agent that starts and says where it is.

    Raises DeviceProblemError "unhealthy" with what failed.
    """
    deadline = time.monotonic() + deadline_s
    data_dir = os.path.join(os.path.dirname(site), "trial")
    try:
        begin = prepare_folder(data_dir)
        _self_test(site, data_dir, deadline_s)
        command = [sys.executable, "-m", "partition_agent", "--data-dir", data_dir]
        try:
            start_detached(data_dir, command, site, max(deadline - time.monotonic(), 0.1), begin)
        except DeviceProblemError as problem:
            ended = "its agent ended: " if problem.code == "agent_ended" else "its agent did not come up in time: "
            raise DeviceProblemError("unhealthy", ended + str(problem)) from problem
        stop_process(data_dir, _STOP_S)
    finally:
        remove_tree(data_dir)


def _self_test(site: str, data_dir: str, deadline_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "partition_agent.self_test"],
        cwd=data_dir,
        env=dict(os.environ, **agent_environment(site, os.path.join(data_dir, "cache"))),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said = process.communicate(timeout=deadline_s)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise DeviceProblemError("unhealthy", f"its self-test did not end within {deadline_s:g} s") from None
    if process.returncode != 0:
        text = said.decode("utf-8", "replace")[-2000:].strip()
        if process.returncode < 0:
            text = f"ended by {signal.Signals(-process.returncode).name}\n{text}"
        raise DeviceProblemError("unhealthy", f"its self-test failed: {text}")
