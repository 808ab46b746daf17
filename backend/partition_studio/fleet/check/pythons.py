"""Which of a device's Pythons the agent can use, and why not the others. Pure."""

from partition_studio.fleet.check.facts import DeviceFacts, PythonFound

OLDEST_PYTHON = (3, 8)
NEWEST_PYTHON = (3, 14)

#: The oldest C library that ONNX Runtime's wheels take, and the newest Python of those wheels; later Pythons need more.
OLDEST_GLIBC = (2, 27)
NEWEST_PYTHON_ON_OLDEST_GLIBC = (3, 10)


def newest_python(facts: DeviceFacts) -> tuple[int, int]:
    """Return the newest Python that there are wheels for, on that C library."""
    on_oldest = facts.libc_version is not None and facts.libc_version <= OLDEST_GLIBC
    return NEWEST_PYTHON_ON_OLDEST_GLIBC if on_oldest else NEWEST_PYTHON


def why_not(python: PythonFound, facts: DeviceFacts) -> str:
    """Return why the agent cannot use that Python there; empty when it can."""
    newest = newest_python(facts)
    if python.implementation != "CPython":
        return f"it is {python.implementation}; ONNX Runtime is built for CPython"
    if python.bits != 64:
        return f"it is {python.bits}-bit; ONNX Runtime is built for 64-bit"
    if python.version[:2] < OLDEST_PYTHON:
        return f"too old: the agent needs {dotted(OLDEST_PYTHON)} or later"
    if python.version[:2] > newest:
        on = f" on glibc {dotted(OLDEST_GLIBC)}" if newest != NEWEST_PYTHON else ""
        return f"too new: there are packages up to {dotted(newest)}{on}"
    return ""


def choose_python(facts: DeviceFacts) -> PythonFound | None:
    """Return the newest one that the agent can use; of equals, the one that came first on the path."""
    usable = [python for python in facts.pythons if not why_not(python, facts)]
    return max(usable, key=lambda python: python.version[:2]) if usable else None


def dotted(version: tuple[int, ...]) -> str:
    """Return a version as people write it."""
    return ".".join(str(part) for part in version)
