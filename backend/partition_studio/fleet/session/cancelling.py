"""Pass a person's cancel on to the agent."""

import contextlib
import threading
from collections.abc import Iterator

from partition_agent.protocol import CancelJob
from partition_studio.errors import DeviceError
from partition_studio.fleet.progress import CancelCheck
from partition_studio.fleet.session.session import DeviceSession

_EVERY_S = 0.5


@contextlib.contextmanager
def cancelling(session: DeviceSession, job: str, cancelled: CancelCheck) -> Iterator[None]:
    """Tell the agent, again and again until the job has ended there, when the person cancels meanwhile."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_S / 5):
            if cancelled():
                with contextlib.suppress(DeviceError):
                    session.call(CancelJob(job))
                ended.wait(_EVERY_S)

    thread = threading.Thread(target=watch, name=f"cancel-{job}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
