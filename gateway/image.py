"""Turn encoded pictures into model inputs, for the gateway, the exporter and inside Triton."""

import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gateway.contract import Contract
from gateway.errors import MEGABYTE, EdgeLensError, TooLarge, UndecodablePicture
from gateway.formats import Header, read_header
from gateway.formats.exif import ORIENTATION, orientation, without_orientation
from gateway.formats.header import OPENCV_PIXEL_BYTES, damaged
from gateway.formats.png import without_extras
from gateway.framing import Frame, frame, turn_upright

# Several threads decode pictures in parallel; OpenCV's own threads would only compete.
cv2.setNumThreads(1)
# `Limits` bounds a picture's pixels, from its header, so Pillow's own limit is off.
Image.MAX_IMAGE_PIXELS = None
# A broken picture concerns its sender: the answer reports it, and the log needs no line for it.
# Pillow would write two for each of a TIFF's tags, of which there may be thousands.
warnings.filterwarnings("ignore", module=r"PIL\.")
SILENT = 0
if hasattr(cv2, "setLogLevel"):  # OpenCV 4; in 5 it has moved
    cv2.setLogLevel(SILENT)
else:
    cv2.utils.logging.setLogLevel(SILENT)

Pixels = NDArray[np.uint8]
INTERPOLATIONS = {
    "cubic": cv2.INTER_CUBIC,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
SCALED_DECODING = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)
# A scaled JPEG must stay this many times larger than needed. Measured on 180 photos enlarged to
# 2000 pixels: EfficientNet-Lite0 gives the answer it gave for the small original in 88 % of them,
# and in 87 % when they are decoded at full size.
SCALED_MARGIN = 2
BAND_PIXELS = 1 << 18


@dataclass(frozen=True, slots=True)
class Limits:
    """What one picture may cost: encoded bytes, pixels, pixels along a side."""

    max_bytes: int = 20 * MEGABYTE
    max_pixels: int = 50_000_000
    max_side: int = 65_535

    @property
    def max_memory(self) -> int:
        """Return the bytes decoding may take: four per pixel, 200 MB by default."""
        return self.max_pixels * 4


def to_tensor(data: bytes, contract: Contract, limits: Limits | None = None) -> Pixels:
    """Turn an encoded picture into UINT8 [height, width, 3] as the contract says.

    The first frame or page counts, EXIF orientation is honoured, transparency becomes white.
    Raises TooLarge, NotAPicture or UndecodablePicture, the first two before any decoding.
    """
    # This setting is per thread. Intel's IPP rounds differently on each kind of processor, OpenCV's
    # own code does not. A model's golden tensor must be the same wherever the model is served.
    cv2.ipp.setUseIPP(False)
    limits = limits or Limits()
    if len(data) > limits.max_bytes:
        raise TooLarge.over(limits.max_bytes)
    header = read_header(data)
    scale, flag = _scale(header, contract)
    _check_size(header, scale, limits)
    if header.format == "PNG":
        data = without_extras(data)
    elif header.format == "TIFF" and header.orientation != 1:
        data = without_orientation(data)
    try:
        if header.by_pillow:
            crop, framed = _decode_with_pillow(data, header, contract)
        else:
            crop, framed = _decode_with_opencv(data, header, contract, flag)
    except EdgeLensError:
        raise
    except Exception as exc:  # the decoders raise almost anything for a broken file
        raise damaged(header.format) from exc
    return _finish(crop, framed, contract)


def _scale(header: Header, contract: Contract) -> tuple[int, int]:
    """Choose the smallest decoding that is large enough, and OpenCV's flag for it."""
    needed = contract.resize_shorter_side
    if contract.crop == "none":
        needed = max(contract.width, contract.height)
    if header.scalable:
        for scale, flag in SCALED_DECODING:
            if min(header.width, header.height) >= scale * SCALED_MARGIN * needed:
                return scale, flag
    return 1, cv2.IMREAD_COLOR


def _check_size(header: Header, scale: int, limits: Limits) -> None:
    pixels = header.width * header.height
    if not pixels:
        raise damaged(header.format)
    if pixels > limits.max_pixels or max(header.width, header.height) > limits.max_side:
        raise TooLarge(
            f"The picture has {header.width} x {header.height} pixels; at most "
            f"{limits.max_pixels:,} and {limits.max_side:,} along a side are accepted."
        )
    memory = header.memory
    if header.scalable:
        memory += pixels * OPENCV_PIXEL_BYTES // scale**2
    if memory > limits.max_memory:
        rounded_up = -(-memory // MEGABYTE)  # never the number that is allowed
        raise TooLarge(
            f"Decoding this {header.format} picture of {header.width} x {header.height} pixels "
            f"would take {rounded_up} MB; at most {limits.max_memory // MEGABYTE} MB are allowed. "
            "Send it smaller, or as an ordinary JPEG."
        )


def _decode_with_opencv(
    encoded: bytes, header: Header, contract: Contract, flag: int
) -> tuple[Pixels, Frame]:
    buffer = np.frombuffer(encoded, np.uint8)
    pixels = cv2.imdecode(buffer, flag | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise damaged(header.format)
    height, width = pixels.shape[:2]
    framed = frame(width, height, header.orientation, contract)
    rows = slice(framed.top, framed.top + framed.height)
    columns = slice(framed.left, framed.left + framed.width)
    return _shrink(pixels[rows, columns], framed.shrink), framed


def _decode_with_pillow(encoded: bytes, header: Header, contract: Contract) -> tuple[Pixels, Frame]:
    """Decode the first frame, then flatten and shrink it band by band to spare memory."""
    with Image.open(io.BytesIO(encoded), formats=[header.format]) as picture:
        if picture.width * picture.height > header.width * header.height:
            raise UndecodablePicture(f"The {header.format} picture is larger than its header says.")
        picture.load()
        turned = header.orientation
        if header.format == "AVIF":  # libavif translates its own rotation boxes into EXIF
            turned = orientation({ORIENTATION: (int(picture.getexif().get(ORIENTATION, 1)),)})
        framed = frame(picture.width, picture.height, turned, contract)
        rows = max(1, BAND_PIXELS // framed.width // framed.shrink) * framed.shrink
        end = framed.top + framed.height
        bands = [
            _shrink(_flatten(picture, framed, top, min(top + rows, end)), framed.shrink)
            for top in range(framed.top, end, rows)
        ]
    return np.concatenate(bands), framed


def _flatten(picture: Image.Image, framed: Frame, top: int, bottom: int) -> Pixels:
    """Cut rows out of the crop and lay them on white; returns BGR."""
    band = picture.crop((framed.left, top, framed.left + framed.width, bottom))
    if picture.has_transparency_data:
        band = band.convert("RGBA")
        canvas = Image.new("RGB", band.size, "white")
        canvas.paste(band, mask=band)
    else:
        canvas = band.convert("RGB")
    flat: Pixels = cv2.cvtColor(np.asarray(canvas), cv2.COLOR_RGB2BGR)
    return flat


def _shrink(pixels: Pixels, factor: int) -> Pixels:
    """Average blocks of factor x factor pixels."""
    if factor == 1:
        return pixels
    size = (pixels.shape[1] // factor, pixels.shape[0] // factor)
    shrunk: Pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return shrunk


def _finish(crop: Pixels, framed: Frame, contract: Contract) -> Pixels:
    size = (framed.out_width, framed.out_height)
    pixels = cv2.resize(crop, size, interpolation=INTERPOLATIONS[contract.interpolation])
    if contract.colour_order == "RGB":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return turn_upright(pixels, framed.orientation)
