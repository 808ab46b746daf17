"""The text of an SSH config made safe for a parser: includes put in place, conditions that run commands left out.

The parser (paramiko's) knows no Include, takes every condition it does not know as fulfilled, and would run
`Match exec`.
"""

import itertools
import os
import re
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from partition_studio.fleet.errors import SshConfigError

_MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 16
_MAX_FILES = 256

_KEYWORD = re.compile("[a-z0-9]+")

#: A header that no host matches.
_NOBODY = "Host !*"
_CONDITIONS = frozenset({"all", "canonical", "final", "host", "originalhost", "user", "localuser"})


@dataclass(frozen=True, slots=True)
class ConfigText:
    """One text without includes, the aliases that its Host lines name, and what was left out, in words."""

    text: str
    aliases: tuple[str, ...]
    ignored: tuple[str, ...]


def read_config(file: Path) -> ConfigText:
    """Read a config and what it includes; a file that is not there says nothing. Raises SshConfigError."""
    reader = _Reader(file.parent)
    lines = list(reader.lines(file, 0, inner=False))
    return ConfigText(
        "\n".join(lines) + "\n", tuple(dict.fromkeys(reader.aliases)), tuple(dict.fromkeys(reader.ignored))
    )


class _Reader:
    def __init__(self, base: Path) -> None:
        self._base = base
        self._left_bytes, self._left_files = _MAX_BYTES, _MAX_FILES
        self.aliases: list[str] = []
        self.ignored: list[str] = []

    def lines(self, file: Path, depth: int, *, inner: bool) -> Iterator[str]:
        """Yield the lines of a file; `inner` is one that is included for some hosts only."""
        header = ""
        for line in self._read(file):
            key, value = _split(line)
            if key in ("host", "match"):
                if inner:
                    self.ignored.append(f"{file}: sections of a file that is included within another section")
                    return
                header = self._header(key, value, file)
                yield header
            elif key == "include":
                everyone = header in ("", "Host *")
                for included in self._included(value, file, depth):
                    yield from self.lines(included, depth + 1, inner=inner or not everyone)
                    yield header or "Host *"
            elif key.startswith("canonical"):
                self.ignored.append(f"{file}: {key} (names are looked up by the system alone)")
            elif _KEYWORD.fullmatch(key):
                yield f"{key} {value}"
            elif key:
                # OpenSSH refuses it as well; a parser that splits otherwise than we do would read something else there.
                raise SshConfigError(f"{file}: {key[:80]!r} is no keyword")

    def _header(self, key: str, value: str, file: Path) -> str:
        if key == "host":
            self.aliases += [word for word in _words(value, file) if not set(word) & set("*?!")]
            return f"Host {value}"
        words = _words(value, file)
        conditions = [word.removeprefix("!").lower() for word in _conditions(words)]
        unknown = [word for word in conditions if word not in _CONDITIONS]
        if not unknown:
            return f"Match {shlex.join(_lowered(words))}"
        self.ignored.append(f"{file}: sections under `Match {unknown[0]}`, which are never evaluated")
        return _NOBODY

    def _included(self, value: str, file: Path, depth: int) -> Iterator[Path]:
        if depth >= _MAX_DEPTH:
            raise SshConfigError(f"{file}: files include one another more than {_MAX_DEPTH} times")
        for pattern in _words(value, file):
            path = self._base / Path(pattern).expanduser()
            yield from sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))

    def _read(self, file: Path) -> list[str]:
        try:
            with file.open("rb") as stream:
                _require_private(file, os.fstat(stream.fileno()))
                data = stream.read(self._left_bytes + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SshConfigError(f"{file} cannot be read ({error.strerror})") from error
        self._left_bytes -= len(data)
        self._left_files -= 1
        if self._left_bytes < 0 or self._left_files < 0:
            raise SshConfigError(f"{file}: the SSH config and what it includes is more than {_MAX_BYTES} bytes")
        return data.decode("utf-8", errors="replace").splitlines()


def _require_private(file: Path, found: os.stat_result) -> None:
    """Refuse, as OpenSSH does, what others could have written."""
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SshConfigError(
            f"{file} belongs to somebody else, or others may write it", next_step=f"chmod 600 {shlex.quote(str(file))}"
        )


def _split(line: str) -> tuple[str, str]:
    """Return the keyword in lower case and its value, both empty for what says nothing."""
    line = line.strip()
    if not line or line.startswith("#"):
        return "", ""
    end = next((i for i, letter in enumerate(line) if letter in " \t="), len(line))
    return line[:end].lower(), _without_comment(line[end:].strip(" \t").removeprefix("=").strip())


def _without_comment(value: str) -> str:
    quoted = False
    for position, letter in enumerate(value):
        quoted ^= letter == '"'
        if letter == "#" and not quoted and position and value[position - 1] in " \t":
            return value[:position].rstrip()
    return value


def _words(value: str, file: Path) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError as error:
        raise SshConfigError(f"{file}: {value[:200]!r} cannot be read ({error})") from error


def _conditions(words: list[str]) -> Iterator[str]:
    """Yield the criteria of a Match line without their arguments."""
    rest = iter(words)
    for word in rest:
        yield word
        if _takes_argument(word):
            next(rest, None)


def _lowered(words: list[str]) -> Iterator[str]:
    """Yield the words of a Match line as the parser reads them: it knows criteria in lower case only."""
    rest = iter(words)
    for word in rest:
        yield word.lower()
        if _takes_argument(word):
            yield from itertools.islice(rest, 1)


def _takes_argument(word: str) -> bool:
    return word.removeprefix("!").lower() not in ("all", "canonical", "final")
