"""Protocol buffers as they are on the wire: enough to read and rewrite a SavedModel's signatures.

TensorFlow's own classes would need TensorFlow, which the serving environment does without.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = int | memoryview


def fields(message: memoryview) -> Iterator[tuple[int, Value, memoryview]]:
    """Yield each field's number, value and whole encoding. Raises ValueError if it is cut short."""
    position = 0
    while position < len(message):
        start = position
        key, position = varint(message, position)
        value, position = _value(message, position, key & 7)
        yield key >> 3, value, message[start:position]


def chunks(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield every length-delimited value of one field."""
    for found, value, _ in fields(message):
        if found == number and isinstance(value, memoryview):
            yield value


def chunk(message: memoryview, number: int) -> memoryview:
    """Return the last length-delimited value of a field, empty if there is none."""
    return next(iter(list(chunks(message, number))[-1:]), memoryview(b""))


def number(message: memoryview, wanted: int) -> int:
    """Return a field that holds a signed whole number, 0 if it is missing."""
    found = 0
    for field, value, _ in fields(message):
        if field == wanted and isinstance(value, int):
            found = value
    return found - (1 << 64) if found >> 63 else found


def text(message: memoryview, wanted: int) -> str:
    """Return a field that holds text, "" if it is missing."""
    return bytes(chunk(message, wanted)).decode()


def encode(number: int, content: bytes) -> bytes:
    """Write a length-delimited field."""
    return encode_varint(number << 3 | BYTES) + encode_varint(len(content)) + content


def encode_number(number: int, value: int) -> bytes:
    """Write a field that holds a whole number of at least 0."""
    return encode_varint(number << 3 | VARINT) + encode_varint(value)


def _value(message: memoryview, position: int, kind: int) -> tuple[Value, int]:
    """Read one value; returns it and the position behind it."""
    if kind == VARINT:
        return varint(message, position)
    if kind == BYTES:
        length, position = varint(message, position)
    elif kind in (FIXED32, FIXED64):
        length = 4 if kind == FIXED32 else 8
    else:
        raise ValueError(f"unknown wire type {kind}")
    if position + length > len(message):
        raise ValueError("the message ends too early")
    return message[position : position + length], position + length


def varint(message: memoryview, position: int) -> tuple[int, int]:
    """Read a variable-length whole number; returns it and the position behind it."""
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("the message ends too early")
        byte = message[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
    raise ValueError("a number is too long")


def encode_varint(value: int) -> bytes:
    """Write a variable-length whole number."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
