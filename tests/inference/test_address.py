"""Which addresses a client takes, and which of them get the admin key."""

import pytest

from inference.contracts.endpoint import Endpoint
from inference.deploy import main


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
