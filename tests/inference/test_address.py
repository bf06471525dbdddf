"""Addresses as people write them, and which of them get the admin key."""

import pytest

from inference.address import Address, AddressError
from inference.contracts.endpoint import Endpoint
from inference.deploy import main


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://box:8000", Address("http", "box", 8000)),
        ("box:8000", Address("http", "box", 8000)),
        ("box", Address("http", "box", 80)),
        ("https://box/triton/", Address("https", "box", 443, "/triton")),
        ("http://[::1]:8000", Address("http", "::1", 8000)),
        ("[::1]:8000", Address("http", "::1", 8000)),
        ("http://box:0", Address("http", "box", 0)),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_address_is_read_as_it_is_meant(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text", ["", "http://", "ftp://box", "box:port", "box:99999", "http://[::1"]
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


@pytest.mark.parametrize("text", ["127.0.0.1:9", "http://[::1]:9", "https://127.0.0.1:9/triton"])
def test_an_endpoint_takes_every_spelling(text: str) -> None:
    assert not Endpoint.http(text).is_live()


@pytest.mark.parametrize("url", ["https://127.0.0.1:9", "http://127.0.0.1:9/triton", "ftp://box"])
def test_a_deployment_refuses_what_is_not_tritons_own_address(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert main(["cat", "--version", "1", "--url", url]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"deploy: {url} is n")
    assert len(said.splitlines()) == 1
