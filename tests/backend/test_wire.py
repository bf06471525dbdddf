"""Numbers and fields as protocol buffers encode them."""

import pytest

from inference.backends.tensorflow import wire


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 16384, 2**63 - 1])
def test_a_number_of_any_length_is_read_as_it_was_written(value):
    message = memoryview(wire.encode_number(1, 5) + wire.encode_number(2, value))
    assert wire.number(message, 2) == value


def test_a_number_may_be_negative_or_missing():
    message = memoryview(wire.encode_number(1, 2**64 - 7))
    assert (wire.number(message, 1), wire.number(message, 2)) == (-7, 0)


def test_a_field_is_found_among_others_and_only_by_its_kind():
    fixed = b"\x09" + b"\1" * 8 + b"\x0d" + b"\1" * 4  # field 1 in 64 bits, and again in 32
    message = memoryview(fixed + wire.encode(2, b"text") + wire.encode_number(3, 1))
    assert (wire.text(message, 2), wire.number(message, 3)) == ("text", 1)
    assert (wire.text(message, 3), wire.number(message, 2)) == ("", 0)
    assert [len(raw) for _, _, raw in wire.fields(message)] == [9, 5, 6, 2]


@pytest.mark.parametrize(
    "message", [b"\x0b", b"\x08" + b"\xff" * 11, b"\x09\0", b"\x0a\2x", b"\x08"], ids=bytes.hex
)
def test_what_is_no_message_is_refused(message):
    with pytest.raises(ValueError, match=r"unknown wire type|too long|too early"):
        list(wire.fields(memoryview(message)))
