"""The two exceptions of protobuf, in one place because that library ships no types."""

from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

__all__ = ["DecodeError", "EncodeError"]
