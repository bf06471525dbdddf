"""The pictures of a request."""

import base64
import io
import json
import random
import tempfile
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from gateway.errors import BadRequest, EdgeLensError, Overloaded, TooLarge, UnsupportedMediaType
from gateway.uploads import Picture, UploadLimits, clean_name, read_pictures
from tests.gateway.stub import as_base64
from tests.memory import MEGABYTE, peak_of

LIMITS = UploadLimits(picture_bytes=1000, pictures=4)
DATA = bytes(range(256))
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


def read(limits: UploadLimits = LIMITS, **request: Any) -> list[Picture]:
    builder = EnvironBuilder("/v1/classify", method="POST", **request)
    try:
        return read_pictures(Request(builder.get_environ()), limits)
    finally:
        builder.close()


def read_json(document: Any, limits: UploadLimits = LIMITS) -> list[Picture]:
    return read(limits, data=json.dumps(document), content_type="application/json")


def test_a_raw_body_is_one_picture() -> None:
    assert read(data=DATA, content_type="image/png") == [Picture(None, DATA)]
    assert read(data=DATA, content_type="application/octet-stream") == [Picture(None, DATA)]
    assert read(data=DATA, content_type="") == [Picture(None, DATA)]


@pytest.mark.parametrize("field", ["images[]", "image", "files[]", "anything"])
def test_file_parts_are_pictures(field: str) -> None:
    sent = [("a.jpg", DATA), ("b.jpg", b"x"), ("empty.jpg", b"")]
    files = {field: [(io.BytesIO(data), name) for name, data in sent]}
    assert read(data=files) == [Picture(name, data) for name, data in sent]


def test_parts_of_different_fields_keep_the_order_they_came_in() -> None:
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n' % part
        for part in [(b"image", b"1", b"a"), (b"files[]", b"2", b"b"), (b"image", b"3", b"c")]
    )
    pictures = read(data=body + b"--x--\r\n", content_type="multipart/form-data; boundary=x")
    assert [p.filename for p in pictures] == ["1", "2", "3"]


@pytest.mark.parametrize(
    "text",
    [
        as_base64(DATA),
        as_base64(DATA).rstrip("="),
        as_base64(DATA).rstrip("=") + "===",
        as_base64(DATA).replace("+", "-").replace("/", "_"),
        "data:image/jpeg;base64," + as_base64(DATA),
        "data:;base64," + as_base64(DATA),
        "DATA:image/jpeg;name=my%20photo%20(1).jpg;base64," + as_base64(DATA),
        "\n".join(as_base64(DATA)[at : at + 60] for at in range(0, 400, 60)),
    ],
    ids=[
        *("bare", "unpadded", "padded too much", "urlsafe"),
        *("data URI", "untyped URI", "named URI", "wrapped"),
    ],
)
def test_base64_is_read_in_every_way_it_is_written(text: str) -> None:
    expected = [Picture(None, DATA)]
    assert read(data={"image": text}) == expected
    assert read(data={"image": text}, content_type="multipart/form-data") == expected
    assert read_json({"image": text}) == expected


@pytest.mark.parametrize("field", ["image", "image[]", "images", "images[]", "files[]"])
@pytest.mark.parametrize("kind", FORMS)
def test_no_other_text_of_a_form_is_a_picture(field: str, kind: str) -> None:
    form = {"caption": "red", field: ["", as_base64(DATA)]}
    assert read(data=form, content_type=kind) == [Picture(None, DATA)]


@pytest.mark.parametrize("kind", FORMS)
def test_base64_in_another_field_is_told_where_it_belongs(kind: str) -> None:
    with pytest.raises(BadRequest, match="a form field named image"):
        read(data={"photo": as_base64(DATA)}, content_type=kind)


def test_a_plus_that_was_not_escaped_is_still_read() -> None:
    body = b"image=" + as_base64(DATA).encode()
    assert b"+" in body
    assert read(data=body, content_type="application/x-www-form-urlencoded")[0].data == DATA


@pytest.mark.parametrize("kind", [*FORMS, ""])
@pytest.mark.parametrize("head", ["", "\ndata:image/jpeg;base64,", "data:image/jpeg;base64, "])
def test_blanks_in_base64_are_read_as_what_they_were(kind: str, head: str) -> None:
    text = as_base64(random.Random(7).randbytes(900))
    single = "A" * 100 + "+" + "A" * 59  # where a line might end
    folded = " ".join(text[at : at + 76] for at in range(0, len(text), 76))  # echo $text
    # A form's value, read and then sent on in another way, has blanks for its pluses.
    pluses = [(each.replace("+", " "), each) for each in (text, single)]
    for sent, meant in [*pluses, (folded, text)]:
        form = {"image": head + sent}
        got = read(data=form, content_type=kind) if kind else read_json(form)
        assert got == [Picture(None, base64.b64decode(meant))]


def test_base64_may_come_in_many_lines() -> None:
    data = bytes(range(256)) * 4000  # over a megabyte: 18,000 line breaks
    limits = UploadLimits(picture_bytes=len(data), pictures=1)
    part = '--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n%s\r\n--x--\r\n'
    lines = base64.encodebytes(data).decode()
    for text in (lines, lines.replace("\n", "\r\n")):
        for body, kind in (
            (urlencode({"image": text}), "application/x-www-form-urlencoded"),
            (part % text, "multipart/form-data; boundary=x"),
            (json.dumps({"image": text}), "application/json"),
        ):
            assert read(limits, data=body, content_type=kind) == [Picture(None, data)]


def test_json_pictures_may_have_names() -> None:
    entries = [as_base64(b"a"), {"filename": "../b.jpg", "data": as_base64(b"b")}] * 16
    limits = UploadLimits(picture_bytes=1000, pictures=len(entries))
    pictures = [Picture(None, b"a"), Picture("b.jpg", b"b")] * 16
    assert read_json({"images": entries}, limits) == pictures


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"image": "YQ=="}', "application/vnd.api+json"),
        (b'\xef\xbb\xbf{"image": "YQ=="}', "application/json"),
    ],
    ids=["a kind of JSON", "byte order mark"],
)
def test_json_is_read_however_it_is_marked(body: bytes, kind: str) -> None:
    assert read(data=body, content_type=kind) == [Picture(None, b"a")]


@pytest.mark.parametrize("text", ["%%%", "a", "ab=c", "YQ*==", "\u00e9" * 4])
def test_garbage_in_base64_is_that_pictures_error(text: str) -> None:
    bad, good = read_json({"images": [text, as_base64(b"a")]})
    assert isinstance(bad.error, BadRequest)
    assert bad.data == b""
    assert good == Picture(None, b"a")


def test_a_data_uri_may_hold_nothing() -> None:
    assert read_json({"image": "data:image/png;base64,"}) == [Picture(None, b"")]


def test_a_client_may_write_null_for_what_it_does_not_send() -> None:
    assert read_json({"image": as_base64(DATA), "images": None}) == [Picture(None, DATA)]
    assert read_json({"image": None, "images": [as_base64(DATA)]}) == [Picture(None, DATA)]


@pytest.mark.parametrize(
    "document",
    [
        None,
        1,
        "x",
        [],
        {},
        {"image": 1},
        {"image": None, "images": None},
        {"images": "x"},
        {"images": [[]]},
        {"images": []},
        {"image": "YQ==", "images": []},
        {"images": [{"filename": 1, "data": "YQ=="}]},
        {"images": [{"filename": "x"}]},
    ],
    ids=str,
)
def test_json_of_another_shape_is_refused(document: Any) -> None:
    with pytest.raises(BadRequest):
        read_json(document)


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 30_000, b"1" * 10_000, b"[" + b"1," * 99_999],
    ids=["cut short", "no text", "deep array", "deep object", "huge number", "many values"],
)
def test_hostile_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(data=body, content_type="application/json")


WIDE = "\U0001f600"
LONG = "A" * (16 * MEGABYTE)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f'{{"image": "{WIDE}{LONG}"}}', "application/json"),
        (f'{{"images": [{{"filename": "{WIDE}{LONG}", "data": "YQ=="}}]}}', "application/json"),
        (f"image={quote(WIDE)}{LONG}", "application/x-www-form-urlencoded"),
        (
            f'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n{WIDE}{LONG}\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
    ids=["JSON", "a name", "form", "multipart"],
)
def test_one_wide_character_does_not_multiply_a_request(body: str, kind: str) -> None:
    limits = UploadLimits(picture_bytes=len(LONG), pictures=4)
    builder = EnvironBuilder("/", method="POST", data=body.encode(), content_type=kind)
    request = Request(builder.get_environ())
    assert peak_of(lambda: read_pictures(request, limits)) < 9 * len(LONG)


@pytest.mark.parametrize(
    "head", [b"Content-Type: text/plain; " + b"a=b;" * 10_000, b"a:\r\n" * 9000]
)
def test_the_head_of_a_part_is_short(head: bytes) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="image"\r\n%s\r\n\r\nYQ==\r\n--x--\r\n'
    send = partial(read, content_type="multipart/form-data; boundary=x")
    assert send(data=body % head[:8000]) == [Picture(None, b"a")]
    with pytest.raises(TooLarge):
        send(data=body % head)


def test_json_may_hold_names_in_any_script() -> None:
    names = ["фото.jpg", "写真.jpg", f"{WIDE}.jpg", '\u00e9\\"é.jpg']
    text = json.dumps(
        {"images": [{"filename": name, "data": "YQ=="} for name in names]}, ensure_ascii=False
    )
    read_names = [
        picture.filename for picture in read(data=text.encode(), content_type="application/json")
    ]
    assert read_names == [*names[:3], '"é.jpg']


def test_json_may_hold_little_other_text_than_base64() -> None:
    with pytest.raises(BadRequest, match="too much text"):
        read(data=f'{{"image": "{"é" * 50_000}"}}'.encode(), content_type="application/json")


def test_json_may_hold_few_values_besides_the_pictures() -> None:
    with pytest.raises(BadRequest, match="too many values"):
        read_json({"image": as_base64(DATA), "more": [0] * 1000})


def test_deep_json_is_refused_where_many_pictures_are_allowed() -> None:
    limits = UploadLimits(picture_bytes=1000, pictures=1000)
    with pytest.raises(BadRequest):
        read(limits, data=b"[" * 8000, content_type="application/json")


def test_a_text_beside_the_picture_may_be_latin_1_if_it_says_so() -> None:
    body = (
        '--x\r\nContent-Disposition: form-data; name="caption"\r\n'
        "Content-Type: text/plain; charset=ISO-8859-1\r\n\r\ncafé\r\n"
        '--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nYQ==\r\n--x--\r\n'
    )
    kind = "multipart/form-data; boundary=x"
    assert read(data=body.encode("latin-1"), content_type=kind) == [Picture(None, b"a")]


def test_a_file_name_that_is_not_utf_8_is_named_as_the_fault() -> None:
    head = 'Content-Disposition: form-data; name="image"; filename="café.jpg"'.encode("latin-1")
    body = b"--x\r\n%b\r\n\r\n%b\r\n--x--\r\n" % (head, DATA)
    with pytest.raises(BadRequest, match="not UTF-8"):
        read(data=body, content_type="multipart/form-data; boundary=x")


def test_json_that_is_marked_as_a_form_is_named_as_the_fault() -> None:
    body = f' {{"image": "{as_base64(DATA)}"}}'
    with pytest.raises(BadRequest, match="curl: --json instead of -d"):
        read(data=body, content_type="application/x-www-form-urlencoded")


def test_hostile_forms_are_refused() -> None:
    with pytest.raises(BadRequest, match="too many fields"):
        read(data=b"a&" * 100_000, content_type="application/x-www-form-urlencoded")
    with pytest.raises(BadRequest, match="escapes"):
        read(data=b"image=" + b"%41" * 20_000, content_type="application/x-www-form-urlencoded")
    with pytest.raises(BadRequest, match="not a form"):
        read(data=b"image=\xff", content_type="application/x-www-form-urlencoded")
    with pytest.raises(BadRequest):
        read(data=b"--x\r\n", content_type="multipart/form-data; boundary=x")
    with pytest.raises(BadRequest, match="malformed"):
        nameless = b"--x\r\nContent-Type: image/png\r\n\r\nx\r\n--x--\r\n"
        read(data=nameless, content_type="multipart/form-data; boundary=x")
    environ = EnvironBuilder(method="POST", data=b"--x--\r\n").get_environ()
    environ["CONTENT_TYPE"] = "multipart/form-data"  # the builder would add a boundary
    with pytest.raises(BadRequest, match="boundary"):
        read_pictures(Request(environ), LIMITS)


def test_options_that_would_be_ignored_are_refused() -> None:
    with pytest.raises(BadRequest, match="version belongs in the query"):
        read_json({"image": as_base64(DATA), "version": "2"})
    with pytest.raises(BadRequest, match="top_k belongs in the query"):
        read(data={"image": as_base64(DATA), "top_k": "1"})
    with pytest.raises(BadRequest, match="top_k belongs in the query"):
        read(data={"image": as_base64(DATA), "top_k": ""})
    with pytest.raises(BadRequest, match="model belongs in the query"):
        read(data={"images[]": (io.BytesIO(DATA), "a.jpg"), "model": "vgg16"})


def test_too_many_parts_are_refused() -> None:
    parts = {"images[]": [(io.BytesIO(b"x"), f"{n}.jpg") for n in range(5)]}
    with pytest.raises(BadRequest, match="at most 4"):
        read(data=parts)
    with pytest.raises(EdgeLensError) as caught:
        read(data={f"field{n}": "x" for n in range(100)}, content_type="multipart/form-data")
    assert caught.value.status == 413


@pytest.mark.parametrize(
    "head",
    [
        b'name="image"',
        b'name="image"; filename=""',
        b'name="photo"\r\nContent-Type: image/jpeg',
        b'name="photo"\r\nContent-Type: Application/Octet-Stream',
    ],
)
def test_a_file_needs_no_file_name(head: bytes) -> None:
    body = b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n--x--\r\n" % (head, DATA)
    assert read(data=body, content_type="multipart/form-data; boundary=x") == [Picture(None, DATA)]


def test_a_file_that_nothing_tells_from_text_is_refused() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\n%s\r\n--x--\r\n' % DATA
    with pytest.raises(BadRequest, match="file name"):
        read(data=body, content_type="multipart/form-data; boundary=x")


def test_base64_in_a_form_may_be_said_to_be_an_image() -> None:
    head = b'Content-Disposition: form-data; name="image"\r\nContent-Type: image/jpeg'
    body = b"--x\r\n%s\r\n\r\n%s\r\n--x--\r\n" % (head, as_base64(DATA).encode())
    assert read(data=body, content_type="multipart/form-data; boundary=x") == [Picture(None, DATA)]


@pytest.mark.parametrize("kind", ["image/jpeg", "application/json"])
def test_an_empty_body_is_called_empty(kind: str) -> None:
    with pytest.raises(BadRequest, match="The body is empty"):
        read(data=b"", content_type=kind)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml"])
def test_other_types_are_refused(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="This Content-Type is not accepted"):
        read(data=DATA, content_type=kind)


def test_a_form_without_a_picture_is_refused() -> None:
    with pytest.raises(BadRequest):
        read(data={"images[]": (io.BytesIO(b""), "")})


def test_text_that_stands_for_too_many_bytes_is_that_pictures_error() -> None:
    assert LIMITS.base64_bytes < 6000  # 1000 bytes take 1336 characters, and there may be blanks
    (picture,) = read_json({"image": "A" * (LIMITS.base64_bytes + 1)})
    assert isinstance(picture.error, TooLarge)
    assert picture.error.message == "The picture exceeds the limit of 1000 bytes."


class NoRoom(io.RawIOBase):
    """A body that cannot be read because there is no room."""

    def __init__(self, failure: type[Exception]) -> None:
        self.failure = failure

    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise self.failure


@pytest.mark.parametrize("failure", [OSError, MemoryError])
@pytest.mark.parametrize(
    "kind", ["image/png", "application/json", "multipart/form-data; boundary=x"]
)
def test_a_body_there_is_no_room_for_is_an_honest_refusal(
    kind: str, failure: type[Exception]
) -> None:
    environ = EnvironBuilder("/v1/classify", method="POST", content_type=kind).get_environ()
    environ.update({"wsgi.input": NoRoom(failure), "CONTENT_LENGTH": "100"})
    with pytest.raises(Overloaded):
        read_pictures(Request(environ), LIMITS)


def test_a_form_takes_no_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/full")
    data = bytes(2_000_000)
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = head + data + b"\r\n--x--\r\n"
    (picture,) = read(data=body, content_type="multipart/form-data; boundary=x")
    assert picture.data == data


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\a.jpg", "a.jpg"),
        ("a\r\nX: y\0.jpg", "aX: y.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("x" * 500, "x" * 200),
        ("..\\", None),
        (None, None),
    ],
)
def test_file_names_are_only_short_printable_labels(sent: str | None, kept: str | None) -> None:
    assert clean_name(sent) == kept


@settings(deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        ["application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
    ),
)
def test_any_body_is_read_or_refused_clearly(body: bytes, kind: str) -> None:
    try:
        assert read(data=body, content_type=kind)
    except EdgeLensError as error:
        assert 400 <= error.status < 500
