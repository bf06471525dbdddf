"""AV1: how large a frame its sequence headers allow, whatever the file around it claims."""

from collections.abc import Iterator

SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6
MAX_UNITS = 1024
# A still picture has one, or one for each layer; a file can have the decoder pass over hundreds.
MAX_FRAMES = 8
HEADER_BYTES = 128


class Bits:
    """Read whole numbers, most significant bit first; there are zeros past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0"), "big")
        self._left = 8 * HEADER_BYTES

    def read(self, count: int) -> int:
        """Return the next `count` bits; ValueError when there are none left."""
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)


def largest_frame(data: memoryview) -> tuple[int, int]:
    """Return the width and height that the stream's frames stay within; (0, 0) without any."""
    sizes = [_frame_limit(Bits(unit)) for unit in _sequence_headers(data)]
    return (
        max((width for width, _ in sizes), default=0),
        max((height for _, height in sizes), default=0),
    )


def _sequence_headers(data: memoryview) -> Iterator[bytes]:
    at, frames = 0, 0
    for _ in range(MAX_UNITS):
        if at >= len(data):
            return
        flags = data[at]
        at += 2 if flags & 4 else 1
        size, at = _leb128(data, at) if flags & 2 else (len(data) - at, at)
        kind = flags >> 3 & 15
        frames += kind in (FRAME_HEADER, FRAME)
        if frames > MAX_FRAMES:
            break
        if kind == SEQUENCE_HEADER:
            yield bytes(data[at : at + min(size, HEADER_BYTES)])
        at += size
    raise ValueError("too many units or frames")


def _leb128(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[at + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:
            return value, at + index + 1
    raise ValueError("a length that never ends")


def _frame_limit(bits: Bits) -> tuple[int, int]:
    bits.read(4)  # profile, still picture
    reduced = bits.read(1)
    if reduced:
        bits.read(5)  # level
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    # Without the reduced header, each frame may override the size with any that fits the field.
    return (width, height) if reduced else (1 << width_bits, 1 << height_bits)


def _skip_operating_points(bits: Bits) -> None:
    if bits.read(1):
        raise ValueError("timing, which a still picture has no use for")
    delays = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:  # the level, and from 4.0 on a tier
            bits.read(1)
        if delays and bits.read(1):
            bits.read(4)
