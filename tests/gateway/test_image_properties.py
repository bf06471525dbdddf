"""What holds for every picture, contract and heap of bytes."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract import Contract
from gateway.errors import NotAPicture, TooLarge, UndecodablePicture
from gateway.formats import read_header
from gateway.formats.exif import read_tags
from gateway.framing import TRANSPOSED, frame
from gateway.image import to_tensor
from tests.pictures import CONTRACT, encode, exif, scene

REFUSALS = (NotAPicture, TooLarge, UndecodablePicture)
MAGICS = [
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe1\0\x40Exif\0\0II*\0",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"GIF89a",
    b"RIFF\xff\xff\0\0WEBPVP8X\x0a\0\0\0",
    b"RIFF\xff\xff\0\0WEBPVP8L",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"\0\0\0\x14ftypavif\0\0\0\0avif\0\0\0\x40meta\0\0\0\0",
]
steady = settings(derandomize=True, database=None, deadline=None, max_examples=150)
sides = st.integers(1, 4096)
contracts = st.builds(
    Contract,
    width=st.integers(1, 512),
    height=st.integers(1, 512),
    resize_shorter_side=st.integers(512, 4096),
    crop=st.sampled_from(["center", "none"]),
    interpolation=st.sampled_from(["cubic", "linear", "area", "lanczos"]),
    colour_order=st.sampled_from(["RGB", "BGR"]),
    value_range=st.just("0-255"),
)


@steady
@given(contracts)
def test_every_contract_survives_its_parameters(contract: Contract) -> None:
    assert Contract.from_parameters(contract.as_parameters()) == contract


@steady
@given(sides, sides, st.integers(1, 8), contracts)
def test_a_frame_lies_within_its_picture(
    width: int, height: int, orientation: int, contract: Contract
) -> None:
    framed = frame(width, height, orientation, contract)
    assert framed.left >= 0
    assert framed.left + framed.width <= width
    assert framed.top >= 0
    assert framed.top + framed.height <= height
    assert framed.width > 0
    assert framed.height > 0
    assert framed.width % framed.shrink == framed.height % framed.shrink == 0
    left = (framed.width // framed.shrink, framed.height // framed.shrink)
    enough = left[0] >= framed.out_width and left[1] >= framed.out_height
    assert enough or framed.shrink == 1  # what is averaged away is never resized back
    upright = (framed.out_width, framed.out_height)
    turned = upright[::-1] if orientation in TRANSPOSED else upright
    assert turned == (contract.width, contract.height)


@steady
@given(sides, sides, st.integers(1, 8))
def test_the_middle_is_cut_out_of_every_picture(width: int, height: int, orientation: int) -> None:
    framed = frame(width, height, orientation, CONTRACT)
    assert abs(width - framed.width - 2 * framed.left) <= 1
    assert abs(height - framed.height - 2 * framed.top) <= 1


@steady
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"]),
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 8),
    contracts,
)
def test_every_sound_picture_gives_a_tensor(
    kind: str, width: int, height: int, orientation: int, contract: Contract
) -> None:
    options = {} if kind in ("BMP", "GIF") else {"exif": exif(orientation)}
    data = encode(scene(width, height), kind, **options)
    header = read_header(data)
    assert (header.width, header.height) == (width, height)
    assert to_tensor(data, contract).shape == (contract.height, contract.width, 3)


@steady
@given(st.sampled_from(MAGICS), st.binary(max_size=400))
def test_bytes_behind_a_magic_number_are_refused_or_decoded(magic: bytes, rest: bytes) -> None:
    try:
        assert to_tensor(magic + rest, CONTRACT).shape == (224, 224, 3)
    except REFUSALS as error:
        assert 400 <= error.status < 500
        assert error.message


@steady
@given(st.binary(max_size=300))
def test_any_tag_table_is_read_without_complaint(table: bytes) -> None:
    for order in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II*\0"):
        assert all(len(values) <= 16 for values in read_tags(order + table).values())
