"""A thread that encodes or decodes, so that neither the sockets nor the computing wait for it."""

import logging
import threading
from collections import deque
from typing import Callable, Deque, Optional

logger = logging.getLogger(__name__)

Job = Callable[[], None]


class CodingThread:
    """Does jobs one after another, in their order. The thread begins with the first one; links bound how many wait."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._change = threading.Condition()
        self._jobs: Deque[Job] = deque()
        self._thread: Optional[threading.Thread] = None
        self._closed = False

    def put(self, job: Job) -> None:
        """Do this after what was put before; from any thread. A job must not raise."""
        with self._change:
            if self._closed:
                return
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._change.notify()

    def close(self) -> None:
        """Finish the job that is under way and forget the others. May be called again."""
        with self._change:
            self._closed = True
            self._jobs.clear()
            self._change.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        may_go_on = True
        while may_go_on:
            try:
                may_go_on = self._go_on()
            except Exception:
                # Those behind it can do without: nobody would do them if this thread ended.
                logger.exception("coding_failed", extra={"coder": self._name})

    def _go_on(self) -> bool:
        """Do the next job; return whether there may be more. Nothing of a job is kept while the next is waited for."""
        with self._change:
            while not self._jobs and not self._closed:
                self._change.wait()
            if self._closed:
                return False
            job = self._jobs.popleft()
        job()
        return True
