"""Random requests to Triton, each broken in one way, and some that make sense."""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.lite import MODEL
from tests.photos import DATA, Photo, photos

PHOTOS = photos()
BOMB = (DATA / "odd_images/bomb_20000x20000_1bit.png").read_bytes()
CASES = 1200  # over each protocol
SIDE = 224 * 224 * 3
DATATYPES = ["BOOL", "UINT8", "INT8", "INT16", "INT64", "FP16", "FP32", "FP64", "BYTES", "NONE", ""]


@dataclass(frozen=True)
class Case:
    """A request; if it makes sense, `right` is the photo whose label it must get."""

    kind: str
    model: str
    name: str = "image"
    datatype: str = "BYTES"
    shape: tuple[int, ...] = (1, 1)
    content: bytes = b""
    claimed: int | None = None
    version: str = ""
    output: str = "probabilities"
    classes: int = 1
    envelope: bytes | None = None
    header: str | None = None
    region: str = ""
    contents: int = 1
    right: Photo | None = None


Maker = Callable[[random.Random], Case]


def element(picture: bytes, length: int | None = None) -> bytes:
    return struct.pack("<I", len(picture) if length is None else length) + picture


def encoded(kind: str, picture: bytes, **fields) -> Case:
    return Case(kind, f"{MODEL}_image", content=element(picture), **fields)


def right_picture(chance: random.Random) -> Case:
    photo = chance.choice(PHOTOS)
    return encoded("right picture", photo.data + chance.randbytes(4), right=photo)


def right_tensor(chance: random.Random, tensors: dict[str, bytes]) -> Case:
    photo = chance.choice(PHOTOS)
    return tensor_case("right tensor", tensors[photo.wnid], right=photo)


def tensor_case(kind: str, content: bytes, **fields) -> Case:
    shape = fields.pop("shape", (1, 224, 224, 3))
    return Case(kind, MODEL, datatype="UINT8", shape=shape, content=content, **fields)


def random_bytes(chance: random.Random) -> Case:
    return encoded("random bytes", chance.randbytes(chance.randrange(2000)))


def random_after_magic(chance: random.Random) -> Case:
    magic = chance.choice(
        [
            b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"II*\0",
            b"BM",
        ]
    )
    return encoded("random after magic", magic + chance.randbytes(chance.randrange(600)))


def damaged_photo(chance: random.Random) -> Case:
    """Change some bytes; every second one is also cut, and cannot be decoded."""
    data = bytearray(chance.choice(PHOTOS).data)
    for _ in range(chance.randrange(1, 30)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    end = chance.choice([len(data), chance.randrange(10, len(data))])
    return encoded("damaged photo", bytes(data[:end]))


def bomb(chance: random.Random) -> Case:
    return encoded("bomb", BOMB + chance.randbytes(2))


def lying_length(chance: random.Random) -> Case:
    length = chance.choice([0, 1, 99, 1 << 16, 1 << 31, (1 << 32) - 1])
    content = element(chance.randbytes(chance.randrange(5, 90)), length)
    return Case("lying length", f"{MODEL}_image", content=content[: chance.randrange(len(content))])


def lying_shape(chance: random.Random) -> Case:
    shape = chance.choice(
        [
            (),
            (1,),
            (0, 1),
            (2, 1),
            (1, 2),
            (17, 1),
            (1 << 40, 1),
            (-1, 1),
            (1, 1, 1),
            (1 << 62, 1 << 62),
        ]
    )
    case = encoded("lying shape", PHOTOS[0].data[:2000])
    return replace(case, shape=shape)


def wrong_tensor_shape(chance: random.Random) -> Case:
    shape = tuple(
        chance.choice([-1, 0, 1, 3, 16, 17, 224, 1 << 33]) for _ in range(chance.randrange(6))
    )
    return tensor_case("tensor shape", chance.randbytes(chance.choice([0, 3, 224])), shape=shape)


def wrong_tensor_size(chance: random.Random) -> Case:
    size = chance.choice([0, 1, SIDE - 1, SIDE + 1, SIDE * 2])
    return tensor_case("tensor size", bytes(size))


def wrong_datatype(chance: random.Random) -> Case:
    datatype = chance.choice([d for d in DATATYPES if d != "UINT8"])
    return replace(tensor_case("datatype", bytes(SIDE)), datatype=datatype)


def wrong_name(chance: random.Random) -> Case:
    field = chance.choice(["name", "output", "model", "version"])
    value = chance.choice(
        ["", "x" * 300, "image\0", "../..", "probabilities ", "99", "-1", "9" * 30]
    )
    return replace(encoded("names", PHOTOS[0].data[:3000]), **{field: value})


def wrong_class_count(chance: random.Random) -> Case:
    count = chance.choice([0, -1, 1001, 1 << 31, 1 << 62])
    return encoded("class count", PHOTOS[0].data + chance.randbytes(2), classes=count)


def broken_envelope(chance: random.Random) -> Case:
    head = b'{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1, 1], "data": ["x"]}]}'
    envelope = chance.choice(
        [
            head[: chance.randrange(len(head))],
            bytes(chance.choice(b'{}[]":,0x') for _ in range(chance.randrange(60))),
            chance.randbytes(chance.randrange(80)),
            head.replace(b"[1, 1]", chance.choice([b"[]", b"null", b'["1"]', b"[1.5, 1]", b"{}"])),
            head.replace(
                b'["x"]', chance.choice([b"[]", b"[1]", b"[null]", b"[[[]]]", b'"x"', b"[1e999]"])
            ),
            head.replace(b'"BYTES"', chance.choice([b"7", b"null", b'"UINT8"'])),
        ]
    )
    return Case("envelope", f"{MODEL}_image", envelope=envelope)


def lying_size(chance: random.Random) -> Case:
    claimed = chance.choice([-1, 0, 1, 10_000, 1 << 31, 1 << 40, 1 << 63])
    return replace(encoded("binary_data_size", PHOTOS[0].data[:3000]), claimed=claimed)


def lying_header(chance: random.Random) -> Case:
    header = chance.choice(["-1", "0", "1", "40", "100000", "9" * 30, "", "all", "0x40"])
    return replace(encoded("header length", PHOTOS[0].data[:3000]), header=header)


def wrong_encoded_datatype(chance: random.Random) -> Case:
    datatype = chance.choice([d for d in DATATYPES if d != "BYTES"])
    return replace(encoded("encoded datatype", PHOTOS[0].data[:3000]), datatype=datatype)


def unknown_region(chance: random.Random) -> Case:
    region = chance.choice(["nowhere", "../../dev/mem", "x" * 300, "\n"])
    return encoded("shared memory", PHOTOS[0].data[:3000], region=region)


def wrong_number_of_contents(chance: random.Random) -> Case:
    case = encoded("contents", PHOTOS[0].data + chance.randbytes(2))
    return replace(case, contents=chance.choice([0, 2, 50]))


BROKEN: list[Maker] = [
    random_bytes, random_after_magic, damaged_photo, bomb, lying_length, lying_shape,
    wrong_tensor_shape, wrong_tensor_size, wrong_datatype, wrong_name, wrong_class_count,
    wrong_encoded_datatype, unknown_region,
]  # fmt: skip
HTTP_ONLY: list[Maker] = [broken_envelope, lying_size, lying_header]
GRPC_ONLY: list[Maker] = [wrong_number_of_contents]


def cases(seed: int, makers: list[Maker], tensors: dict[str, bytes]) -> Iterator[Case]:
    chance = random.Random(seed)
    for number in range(CASES):
        if number % 10 == 0:
            yield right_picture(chance)
        elif number % 10 == 5:
            yield right_tensor(chance, tensors)
        else:
            yield chance.choice(makers)(chance)
