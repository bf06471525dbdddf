"""Addresses as people write them."""

import pytest

from gateway.address import Address, AddressError, read_host


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://box:8000", Address("http", "box", 8000)),
        ("box:8000", Address("http", "box", 8000)),
        ("box", Address("http", "box", 80)),
        ("https://box/triton/", Address("https", "box", 443, "/triton")),
        ("http://[::1]:8000", Address("http", "::1", 8000)),
        ("[::1]:8000", Address("http", "::1", 8000)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_address_is_read_as_it_is_meant(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "http://",
        "ftp://box",
        "box:port",
        "box:",
        "box:0",
        "box:99999",
        "box:" + "1" * 5000,
        "http://[::1",
        "::1:8000",
        "[box]:8000",
        "me@box:8000",
        "a box:8000",
        "a..box:8000",
        "box:8000/a b",
        "bo\nx:8000",
        "http://*:8000",
    ],
    ids=lambda text: repr(text)[:20],
)
def test_what_is_no_address_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(AddressError, match="is not an address; give one like http://"):
        Address.parse(text)


def test_a_host_of_version_6_has_its_brackets_wherever_a_port_follows() -> None:
    address = Address.parse("[::1]:8000")
    assert (address.netloc, address.next_port()) == ("[::1]:8000", "[::1]:8001")


@pytest.mark.parametrize(
    ("text", "local"),
    [("localhost:8000", True), ("[::1]:8000", True), ("127.0.0.1", True), ("box:8000", False)],
)
def test_only_this_machines_addresses_are_local(text: str, local: bool) -> None:
    assert Address.parse(text).is_local == local


@pytest.mark.parametrize(
    ("text", "host"),
    [("box", "box"), ("10.0.0.7", "10.0.0.7"), ("::", "::"), ("[::1]", "::1")],
)
def test_a_host_is_read_with_or_without_brackets(text: str, host: str) -> None:
    assert read_host(text) == host


@pytest.mark.parametrize(
    "text", ["", "*", "[::1", "::1]", "abox]", "a box", "a..box", "x" * 64, "box:80"]
)
def test_what_cannot_be_a_host_is_no_address(text: str) -> None:
    with pytest.raises(AddressError, match="is not an address"):
        read_host(text)
