"""Broken pictures, made from sound ones; the same seed always breaks them the same way."""

import random
from collections.abc import Callable

Mutation = Callable[[random.Random, bytearray, bytes], None]
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


def mutant(seed: int, sound: list[bytes]) -> bytes:
    """Return one of the pictures with one to eight faults."""
    dice = random.Random(seed)
    data = bytearray(dice.choice(sound))
    for _ in range(dice.choice((1, 1, 2, 8))):
        dice.choice(MUTATIONS)(dice, data, dice.choice(sound))
    return bytes(data)


def _place(dice: random.Random, data: bytearray) -> int:
    """Return a position, most often near the start, where the headers are."""
    return dice.randrange(max(1, min(len(data), dice.choice((40, 400, len(data) or 1)))))


def _flip_a_bit(dice: random.Random, data: bytearray, _: bytes) -> None:
    if data:
        data[_place(dice, data)] ^= 1 << dice.randrange(8)


def _cut_off(dice: random.Random, data: bytearray, _: bytes) -> None:
    del data[_place(dice, data) :]


def _lose_a_piece(dice: random.Random, data: bytearray, _: bytes) -> None:
    at = _place(dice, data)
    del data[at : at + dice.randrange(1, 64)]


def _repeat_a_piece(dice: random.Random, data: bytearray, _: bytes) -> None:
    at = _place(dice, data)
    data[at:at] = data[at : at + dice.randrange(1, 64)] * dice.choice((1, 2, 50))


def _write_a_number(dice: random.Random, data: bytearray, _: bytes) -> None:
    size, order = dice.choice((1, 2, 4)), dice.choice(("big", "little"))
    at = _place(dice, data)
    number = dice.choice(NUMBERS) & ((1 << 8 * size) - 1)
    data[at : at + size] = number.to_bytes(size, order)


def _take_anothers_head(dice: random.Random, data: bytearray, other: bytes) -> None:
    length = dice.choice((2, 4, 8, 16, 33, 200))
    data[:length] = other[:length]


def _take_anothers_tail(dice: random.Random, data: bytearray, other: bytes) -> None:
    at = _place(dice, data)
    data[at:] = other[at:]


def _put_in_noise(dice: random.Random, data: bytearray, _: bytes) -> None:
    at = _place(dice, data)
    data[at:at] = dice.randbytes(dice.randrange(1, 64))


MUTATIONS: tuple[Mutation, ...] = (
    _flip_a_bit,
    _cut_off,
    _lose_a_piece,
    _repeat_a_piece,
    _write_a_number,
    _take_anothers_head,
    _take_anothers_tail,
    _put_in_noise,
)
