"""Read the pictures of a request, in whichever way they were sent."""

import binascii
import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from gateway.errors import (
    BadRequest,
    EdgeLensError,
    Overloaded,
    TooLarge,
    UnsupportedMediaType,
)
from gateway.options import KNOWN

SPARE_FIELDS = 32  # form fields and JSON values that may come besides the pictures
LONGEST_NAME = 200
BASE64_ESCAPES = (
    (b"%2B", b"-"),  # the same in URL-safe base64; a bare "+" would be read as a blank
    (b"%20", b"+"),
    (b"%2F", b"/"),
    (b"%3D", b"="),
    # Tools break base64 into lines.
    (b"%0A", b""),
    (b"%0D", b""),
)
ASCII = bytes(range(128))
NOT_ASCII = re.compile(rb"[\x80-\xff]+")
MOST_NOT_ASCII = 1024  # bytes for each value: file systems take names of 255
LINE_ENDS = dict.fromkeys(map(ord, "\t\n\r\v\f"))
SHORTEST_LINE = 60
MOST_ESCAPES = 10_000  # besides those
LONGEST_HEAD = FORM_PIECE = 16 * 1024  # bytes of a part of a form; bytes parsed at a time
DATA_URI = re.compile(r"data:[^,]{0,400},", re.IGNORECASE)  # base64 has no colon
RAW_TYPES = ("image/", "application/octet-stream")
PICTURE_FIELDS = ("image", "image[]", "images", "images[]", "files[]")
NO_PICTURE = (
    "No picture in the request: send multipart/form-data with file parts, a raw image/* body, "
    'JSON {"image": "<base64>"}, or base64 in a form field named image.'
)
NO_BOUNDARY = (
    "The Content-Type multipart/form-data has no boundary: do not set Content-Type yourself, your "
    "HTTP library sets it with the form."
)
NO_JSON = (
    "The body is not JSON, although its Content-Type says so: send a bare picture with "
    "`Content-Type: image/jpeg`."
)
FORM_IS_JSON = (
    "The body is JSON, although its Content-Type says that it is a form: send it with "
    "`Content-Type: application/json` (curl: --json instead of -d)."
)
NO_BASE64 = "The picture is not valid base64."
EMPTY = "The body is empty."
DISK_FULL = "The server has no space left to store this request; its log says where."
NO_FILENAME = (
    "A part of the form is a file without a file name and was read as text: give it one "
    '(Content-Disposition: form-data; name="image"; filename="photo.jpg").'
)
NO_UTF8_NAME = (
    "A name in the form is not UTF-8: send file names in UTF-8, or without special characters."
)
NO_FORM = (
    "The body is not a form, although its Content-Type says so: send a bare picture with "
    "`Content-Type: image/jpeg` (curl: --data-binary @photo.jpg -H 'Content-Type: image/jpeg')."
)


@dataclass(frozen=True)
class Picture:
    """One uploaded picture: its cleaned file name, and its bytes or why there are none."""

    filename: str | None
    data: bytes = b""
    error: EdgeLensError | None = None


@dataclass(frozen=True)
class UploadLimits:
    """How much one request may carry."""

    picture_bytes: int
    pictures: int

    @property
    def base64_bytes(self) -> int:
        """Return the length of the longest text that may stand for one picture."""
        # Four characters for three bytes, line ends among them, and a data URI's prefix.
        return self.picture_bytes * 7 // 5 + 4096


def read_pictures(request: Request, limits: UploadLimits) -> list[Picture]:
    """Return the request's pictures in the order sent.

    Raises BadRequest, UnsupportedMediaType, TooLarge or Overloaded.
    """
    try:
        pictures = _read(request, limits)
    except (ClientDisconnected, MemoryError):
        # The whole body has arrived: a disconnect in werkzeug means a temporary file that fails.
        raise Overloaded(DISK_FULL) from None
    if not pictures:
        raise BadRequest(NO_PICTURE)
    if len(pictures) > limits.pictures:
        raise BadRequest(_most(limits))
    return pictures


def _most(limits: UploadLimits) -> str:
    most = "one picture" if limits.pictures == 1 else f"{limits.pictures} pictures"
    return f"Send at most {most} in one request."


def _read(request: Request, limits: UploadLimits) -> list[Picture]:
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType(
            "A body with a Content-Encoding is not accepted; send it without one."
        )
    kind = request.mimetype
    if kind == "multipart/form-data":
        return _from_multipart(request, limits)
    if kind == "application/x-www-form-urlencoded":
        return _from_form(request, limits)
    if kind == "application/json" or kind.endswith("+json"):
        return _from_json(request, limits)
    if not kind or kind.startswith(RAW_TYPES):
        return [Picture(None, _body(request))]
    raise UnsupportedMediaType(f"This Content-Type is not accepted. {NO_PICTURE}")


def _body(request: Request) -> bytes:
    """Return what was sent; raise BadRequest for nothing."""
    body = request.get_data(cache=False)
    if not body:
        raise BadRequest(f"{EMPTY} {NO_PICTURE}")
    return body


def _from_multipart(request: Request, limits: UploadLimits) -> list[Picture]:
    if not request.mimetype_params.get("boundary"):
        raise BadRequest(NO_BOUNDARY)
    pictures, fields = [], []
    try:
        for part, content in _parts(request, limits):
            data, name = content.getvalue(), part.filename if isinstance(part, File) else None
            if isinstance(part, Field) and not _is_file(part, data):
                charset = MultiPartParser().get_part_charset(part.headers)
                fields.append((part.name, data.decode(charset, "replace")))
            elif name or data:  # a browser's empty field has neither
                pictures.append(Picture(clean_name(name), data))
    except RequestEntityTooLarge:
        raise TooLarge(f"The form has too many parts or too much text. {_most(limits)}") from None
    except UnicodeDecodeError:
        raise BadRequest(NO_UTF8_NAME) from None
    except ValueError:
        raise BadRequest("The multipart form is malformed or cut short.") from None
    if any("\ufffd" in text for _, text in fields):
        raise BadRequest(NO_FILENAME)
    return pictures + list(_from_fields(fields, limits))


def _is_file(part: Field, data: bytes) -> bool:
    """Tell whether a part is a file, though it has no file name: it need not have one.

    Base64 is ASCII, whatever type it is said to have.
    """
    kind = part.headers.get("Content-Type", "").lower()
    return not data.isascii() and (part.name in PICTURE_FIELDS or kind.startswith(RAW_TYPES))


def _parts(request: Request, limits: UploadLimits) -> Iterator[tuple[Field | File, io.BytesIO]]:
    """Yield the form's parts in the order they came in. Raises RequestEntityTooLarge, ValueError.

    Werkzeug's own parser groups parts by field, and allows a part's head as many bytes as its text:
    a head of many options takes forty times its size.
    """
    boundary = request.mimetype_params["boundary"].encode("ascii")
    most = limits.pictures + SPARE_FIELDS
    decoder = MultipartDecoder(boundary, LONGEST_HEAD + FORM_PIECE, max_parts=most)
    for piece in chain(iter(partial(request.stream.read, FORM_PIECE), b""), [None]):
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            if isinstance(event, Field | File):
                part, content = event, io.BytesIO()  # its size is bounded by the whole body's
            elif isinstance(event, Data):
                content.write(event.data)
                if isinstance(part, Field) and content.tell() > limits.base64_bytes:
                    raise RequestEntityTooLarge
                if not event.more_data:
                    yield part, content


def _from_form(request: Request, limits: UploadLimits) -> list[Picture]:
    body = request.get_data(cache=False)
    if not body.isascii():
        raise BadRequest(NO_FORM)
    if body.lstrip().startswith(b"{"):
        raise BadRequest(FORM_IS_JSON)
    # Urllib takes a microsecond per escape: base64's own are decoded here, and others are few.
    for escape, mark in BASE64_ESCAPES:
        for spelled in (escape, escape.lower()):
            body = body.replace(spelled, mark)
    if body.count(b"%") > MOST_ESCAPES:
        raise BadRequest("The form has more escapes than base64 needs.")
    text = body.decode("ascii")
    del body  # as large as the request
    try:
        fields = parse_qsl(
            text,
            keep_blank_values=True,
            encoding="latin-1",  # base64 is ASCII; one wide character would widen all others
            max_num_fields=limits.pictures + SPARE_FIELDS,
        )
    except ValueError:
        raise BadRequest("The form is malformed or has too many fields.") from None
    return list(_from_fields(fields, limits))


def _from_fields(fields: list[tuple[str, str]], limits: UploadLimits) -> Iterator[Picture]:
    """Read the pictures among a form's fields: base64, bare or as a data URI."""
    _refuse_options(name for name, _ in fields)
    for name, text in fields:
        if name in PICTURE_FIELDS and text:
            yield _from_base64(None, text, limits)


def _from_json(request: Request, limits: UploadLimits) -> list[Picture]:
    body = _body(request)
    if b"\0" in body:
        raise BadRequest(NO_JSON)
    # Base64 has none of these bytes; a body full of them is meant to exhaust the memory.
    if sum(body.count(mark) for mark in b"[{,") > 8 * limits.pictures + SPARE_FIELDS:
        raise BadRequest(f"The JSON has too many values. {_most(limits)}")
    try:
        if not body.isascii():
            body = _as_ascii(body, limits)
        text = body.decode("ascii")
        del body  # each of these is as large as the request
        document = json.loads(text)
        del text
    except (ValueError, RecursionError):
        raise BadRequest("The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise BadRequest('The JSON must be an object: {"image": "<base64>"}.')
    return [_from_entry(entry, limits) for entry in _entries(document)]


def _as_ascii(body: bytes, limits: UploadLimits) -> bytes:
    """Write JSON's other characters as escapes; BadRequest for many, ValueError if not UTF-8.

    One wide character in a name would make a text of four bytes for each character of base64.
    """
    if len(body.translate(None, ASCII)) > MOST_NOT_ASCII * (limits.pictures + SPARE_FIELDS):
        raise BadRequest("The JSON has too much text besides base64.")
    return NOT_ASCII.sub(
        lambda found: json.dumps(found[0].decode())[1:-1].encode(),
        body.removeprefix(codecs.BOM_UTF8),
    )


def _refuse_options(names: Iterable[str]) -> None:
    """Refuse options that would be ignored: the caller expects them to count."""
    for name in sorted(KNOWN.intersection(names)):
        raise BadRequest(f"{name} belongs in the query, as ?{name}=...")


def _entries(document: dict[str, Any]) -> list[Any]:
    _refuse_options(document)
    image, images = document.get("image"), document.get("images")
    if (image is None) == (images is None):
        raise BadRequest('The JSON needs either "image" or "images".')
    if image is not None:
        return [image]
    if not isinstance(images, list):
        raise BadRequest('"images" must be an array.')
    return images


def _from_entry(entry: Any, limits: UploadLimits) -> Picture:
    name = None
    if isinstance(entry, dict):
        name, entry = entry.get("filename"), entry.get("data")
    if not isinstance(entry, str) or not isinstance(name, str | None):
        raise BadRequest('A picture is base64 text, or {"filename": "...", "data": "<base64>"}.')
    return _from_base64(clean_name(name), entry, limits)


def _from_base64(name: str | None, text: str, limits: UploadLimits) -> Picture:
    """Decode base64 with or without padding, blanks and a data URI's prefix."""
    if len(text) > limits.base64_bytes:
        return Picture(name, error=TooLarge.over(limits.picture_bytes))
    if not text.isascii():  # before it is copied, at four bytes for each character
        return Picture(name, error=BadRequest(NO_BASE64))
    text = text.strip()
    match = DATA_URI.match(text)
    bare = _mend_blanks(text[match.end() :].lstrip() if match else text).rstrip("=")
    bare = bare.replace("-", "+").replace("_", "/")
    try:
        data = binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except ValueError:
        return Picture(name, error=BadRequest(NO_BASE64))
    return Picture(name, data)


def _mend_blanks(text: str) -> str:
    """Repair the blanks in base64: each is either a "+" that nobody escaped, or a line end.

    Line ends are evenly spaced, as in base64 that a shell was given unquoted; a "+" is not.
    """
    text = text.translate(LINE_ENDS)
    width, blanks = text.find(" "), text.count(" ")
    ends = text[width :: width + 1] if width >= SHORTEST_LINE else ""
    even = ends.count(" ") == len(ends) == blanks and (len(text) - blanks) % 4 == 0
    return text.replace(" ", "" if even else "+")


def clean_name(name: str | None) -> str | None:
    """Keep a client's file name only as a short printable label, without its folders."""
    if not name:
        return None
    start = max(name.rfind("/"), name.rfind("\\")) + 1
    last = name[start : start + LONGEST_NAME]  # cut first: a name may be as long as the request
    return "".join(c for c in last if c.isprintable()) or None
