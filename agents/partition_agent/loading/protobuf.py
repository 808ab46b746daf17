"""Walk through a protobuf file by offsets, so that nothing is copied; the `onnx` package is too large for agents."""

import mmap
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple, Union

#: A stretch of the file: from, and up to.
Part = Tuple[int, int]


class ModelFileError(Exception):
    """The file is no ONNX model that can be understood."""


class Field(NamedTuple):
    """One field of a message: its number, its value (a number, or where its content lies), and where all of it lies.

    The value of a field of four or eight bytes is where these lie.
    """

    number: int
    value: Union[int, Part]
    whole: Part


@contextmanager
def mapped(path: Path) -> "Iterator[mmap.mmap]":
    """Map a file for reading. Raises ModelFileError, OSError."""
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise ModelFileError("the file is empty") from error
        with data:
            yield data


class Walker:
    """Goes through messages of one file. Every method raises ModelFileError for what is no protobuf."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data

    def walk(self, part: Part) -> Iterator[Field]:
        """Yield the fields of a message, in their order."""
        offset, end = part
        while offset < end:
            begin = offset
            key, offset = self._varint(offset, end)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, offset = self._varint(offset, end)
                yield Field(number, value, (begin, offset))
                continue
            if wire in (1, 5):
                length = 8 if wire == 1 else 4
            elif wire == 2:
                length, offset = self._varint(offset, end)
            else:
                raise ModelFileError(f"wire type {wire} is none of ONNX's")
            if length > end - offset:
                raise ModelFileError("it ends in the middle")
            yield Field(number, (offset, offset + length), (begin, offset + length))
            offset += length

    def values(self, part: Part) -> "Iterator[Tuple[int, Union[int, Part]]]":
        """Yield number and value of every field."""
        return ((field.number, field.value) for field in self.walk(part))

    def fields(self, part: Part) -> "Iterator[Tuple[int, Part]]":
        """Yield number and place of the fields that are no plain numbers."""
        for field in self.walk(part):
            if not isinstance(field.value, int):
                yield field.number, field.value

    def parts(self, part: Part, wanted: int) -> Iterator[Part]:
        """Yield the places of one field, which may be repeated."""
        return (inner for number, inner in self.fields(part) if number == wanted)

    def numbers(self, value: Union[int, Part]) -> List[int]:
        """Return the numbers of a field that may be packed."""
        if isinstance(value, int):
            return [value]
        numbers, offset = [], value[0]
        while offset < value[1]:
            number, offset = self._varint(offset, value[1])
            numbers.append(number)
        return numbers

    def _varint(self, offset: int, end: int) -> Tuple[int, int]:
        value = shift = 0
        while offset < end and shift < 70:
            byte = self.data[offset]
            offset += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value, offset
        raise ModelFileError("it ends in the middle")
