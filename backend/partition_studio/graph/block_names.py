"""What to call a block: by the beginning that its layers' names share and no other layer has, or by its kind."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from partition_studio.graph.network import Network

#: Beginnings of a name that are looked at: more would make long names slow.
_MOST_BEGINNINGS = 16

#: A folder of layers is a block from this many on.
_LEAST_IN_FOLDER = 3


class BlockNames:
    """Names blocks of one network, each once."""

    def __init__(self, network: Network) -> None:
        """Count every beginning of every layer's name."""
        self._beginnings = [_beginnings(_own_name(layer.name, layer.op_type)) for layer in network.layers]
        self._folders = [[b[:-1] for b in beginnings if b.endswith("/")] for beginnings in self._beginnings]
        self._count = Counter(beginning for beginnings in self._beginnings for beginning in beginnings)
        self._given: set[str] = set()
        self._numbers: Counter[str] = Counter()

    def name(self, kind: str, layers: Sequence[int]) -> str:
        """Return a name for a block of that kind with those layers, by position."""
        shared = Counter(beginning for index in layers for beginning in self._beginnings[index])
        enough = (0.9 if kind == "stage" else 0.5) * len(layers)
        own = [b for b, count in shared.items() if count > enough and count == self._count[b]]
        for beginning in sorted(own, key=lambda b: (-shared[b], len(b), b)):
            whole = beginning.strip("/._")
            for name in (whole.rsplit("/", 1)[-1], whole):
                if len(name) > 1 and not name.isdecimal() and name not in self._given:
                    self._given.add(name)
                    return name
        while True:
            self._numbers[kind] += 1
            name = f"{kind}{self._numbers[kind]}"
            if name not in self._given:
                self._given.add(name)
                return name

    def folders(self, taken: Iterable[int]) -> list[list[int]]:
        """Return the largest folders of layer names without a layer of `taken`, as layers by position.

        A folder that holds nearly all layers is passed over.
        """
        used = {folder for index in taken for folder in self._folders[index]}
        members: dict[str, list[int]] = {}
        for index, folders in enumerate(self._folders):
            largest = next((f for f in folders if f not in used and self._is_part(f)), None)
            if largest is not None:
                members.setdefault(largest, []).append(index)
        return [layers for layers in members.values() if len(layers) >= _LEAST_IN_FOLDER]

    def _is_part(self, folder: str) -> bool:
        return 10 * self._count[f"{folder}/"] < 9 * len(self._beginnings)


def _own_name(name: str, op_type: str) -> str:
    """Return a name without the operator that a generated one begins with."""
    return name.removeprefix(f"{op_type}_")


def _beginnings(name: str) -> list[str]:
    """Return the beginnings of a name that end at a separator, it included, shortest first."""
    ends = [match.end() for match in re.finditer(r"[/._]+|(?<=\d)(?=[A-Za-z])|(?<=[a-z])(?=_?branch)", name)]
    return [name[:end] for end in ends[:_MOST_BEGINNINGS] if end]
