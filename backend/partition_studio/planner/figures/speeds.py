"""What was measured of a device besides its layers: what coding and carrying cost its processor."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodecSpeed:
    """Bytes of a tensor, as it is in memory, that a device encodes and decodes in a second on one core."""

    encode_bytes_per_s: float
    decode_bytes_per_s: float


@dataclass(frozen=True, slots=True)
class CarrySpeed:
    """Processor seconds that a device spends on one message at its end of a link, and on each of its bytes.

    Receiving or sending, encryption included; codecs apart. `beside_byte_s` is the part of `byte_s` that is done while
    bytes are still on their way (what packets cost): it keeps the processor busy, and makes no frame late.
    """

    message_s: float
    byte_s: float
    beside_byte_s: float = 0.0

    def seconds(self, size_bytes: float) -> float:
        """Return the processor seconds of one message of that size."""
        return self.message_s + self.byte_s * size_bytes
