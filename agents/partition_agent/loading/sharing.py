"""Stages of one device that use the same weights map them from one file, so that these are in memory once.

Tiles of a layer on one device are the case: each tile's stage has the layer's weights. Two optimised models are
independent files, but what the runtime made of equal weights is equal. Where it is, byte by byte, the newer model is
written to refer to the older one's file, through a link of its own to it: whichever is deleted first, the file stays
for as long as it is needed.
"""

import mmap
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Tuple

from partition_agent.loading.options import OPTIMISED
from partition_agent.loading.protobuf import Field, ModelFileError, Walker, mapped
from partition_agent.loading.references import (
    ExternalTensor,
    Rewriter,
    external,
    external_tensor,
    external_tensors,
    without_place,
)

#: Smaller weights are not worth a mapping into another file.
MIN_SHARED_BYTES = 64 * 1024

_SHARED = "shared-"
_CHUNK_BYTES = 1024 * 1024

#: Name and size of a tensor: what is to be equal before bytes are compared.
_Key = Tuple[bytes, int]


def is_shared_name(name: str) -> bool:
    """Return whether a file's name is one that sharing gives."""
    return name.startswith(_SHARED) and name.endswith(".bin")


def share(folder: Path, others: Iterable[Path], check: Callable[[], None]) -> List[str]:
    """Let the optimised model in `folder` use weights of those in `others`; return the names of the files it links.

    Raises ModelFileError, OSError; then the model is as it was. `check` may raise to give up.
    """
    known = _known(others)
    if not known:
        return []
    with ExitStack() as stack:
        writer = _Writer(stack.enter_context(mapped(folder / OPTIMISED)), folder, known, check, stack)
        pieces = list(writer.model())
        if not writer.links:
            return []
        new = folder / "sharing.onnx"
        with open(new, "xb") as file:
            file.writelines(pieces)
        for source, name in writer.links.items():
            os.link(str(source), str(folder / name))
    new.replace(folder / OPTIMISED)
    return sorted(writer.links.values())


def _known(others: Iterable[Path]) -> "Dict[_Key, Tuple[Path, ExternalTensor]]":
    """Return the large weights of other models, and the file of each."""
    known: Dict[_Key, Tuple[Path, ExternalTensor]] = {}
    for other in others:
        try:
            with mapped(other / OPTIMISED) as data:
                for tensor in external_tensors(Walker(data)):
                    file = other / tensor.location
                    if tensor.size_bytes >= MIN_SHARED_BYTES and file.parent == other and not file.is_symlink():
                        known.setdefault((tensor.name, tensor.size_bytes), (file, tensor))
        except (OSError, ModelFileError):
            # It is being deleted, or torn: there is nothing to share with.
            continue
    return known


class _Writer(Rewriter):
    def __init__(
        self,
        data: mmap.mmap,
        folder: Path,
        known: "Dict[_Key, Tuple[Path, ExternalTensor]]",
        check: Callable[[], None],
        stack: ExitStack,
    ) -> None:
        super().__init__(data)
        self._folder, self._known, self._check, self._stack = folder, known, check, stack
        self._files: Dict[Path, mmap.mmap] = {}
        #: The files of others that are referred to, and what their links are to be called.
        self.links: Dict[Path, str] = {}

    def initialiser(self, fields: List[Field]) -> Optional[List[bytes]]:
        own = external_tensor(self, fields)
        if own is None:
            return None
        found = self._known.get((own.name, own.size_bytes))
        if found is None or not self._equal(self._folder / own.location, own, *found):
            return None
        file, other = found
        name = self.links.setdefault(file, f"{_SHARED}{len(self.links)}.bin")
        return without_place(self, fields) + external(name, other.offset, other.size_bytes)

    def _equal(self, file: Path, tensor: ExternalTensor, other_file: Path, other: ExternalTensor) -> bool:
        ours, theirs = self._opened(file), self._opened(other_file)
        for start in range(0, tensor.size_bytes, _CHUNK_BYTES):
            self._check()
            stop = min(start + _CHUNK_BYTES, tensor.size_bytes)
            chunk = ours[tensor.offset + start : tensor.offset + stop]
            if len(chunk) != stop - start or chunk != theirs[other.offset + start : other.offset + stop]:
                return False
        return True

    def _opened(self, file: Path) -> mmap.mmap:
        if file not in self._files:
            self._files[file] = self._stack.enter_context(mapped(file))
        return self._files[file]
