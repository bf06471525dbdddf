"""Which address the server takes for the client's, with and without a proxy in front."""

import socket

import pytest
import requests

from tests.gateway.running import (
    Serve,
    hold_inferences,
    in_background,
    post_as,
    raw_classify,
    status_of_next,
)
from tests.gateway.stub import StubTriton
from tests.waiting import wait_until


@pytest.mark.parametrize("proxy", ["127.0.0.1", "*"])
def test_clients_behind_the_trusted_proxy_have_shares_of_their_own(
    serve: Serve, triton: StubTriton, proxy: str
) -> None:
    running = serve(threads=1, trusted_proxy=proxy)
    running.admission.limit = 2
    hold = hold_inferences(triton)
    answers: list[int] = []
    for client in ("10.0.0.1", "10.0.0.2"):
        in_background(lambda c=client: answers.append(post_as(running, c).status_code))
    wait_until(lambda: running.admission.in_flight == 2, "all places are taken", 10)
    refused = post_as(running, "10.0.0.1")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "too_many_requests"
    hold.set()
    wait_until(lambda: answers == [200, 200], "the others are served", 10)


def test_the_address_in_a_strangers_header_is_not_believed(
    serve: Serve, triton: StubTriton
) -> None:
    running = serve(threads=1)
    running.admission.limit = 2
    hold = hold_inferences(triton)
    for client in ("10.0.0.1", "10.0.0.2"):
        in_background(lambda c=client: post_as(running, c))
    wait_until(lambda: running.admission.in_flight == 2, "all places are taken", 10)
    assert post_as(running, "10.0.0.1").status_code == 503
    hold.set()
    wait_until(lambda: running.admission.in_flight == 0, "all are answered", 10)


@pytest.mark.parametrize("proxy", ["", "127.0.0.1", "*"])
@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-Proto": "ftp,<b>"},
        {"X-Forwarded-For": '"10.0.0.1'},
        {"X-Forwarded-Host": '"'},
        {"Forwarded": "for=;;proto=<b>"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_a_malformed_header_of_a_proxy_is_neither_answered_nor_logged(
    serve: Serve, proxy: str, header: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    answer = requests.get(f"{serve(trusted_proxy=proxy).url}/healthz", headers=header, timeout=20)
    assert answer.status_code == 200
    assert "Content-Security-Policy" in answer.headers
    assert caplog.text == ""


def test_the_rate_is_that_of_the_client_behind_the_proxy(serve: Serve) -> None:
    running = serve(trusted_proxy="127.0.0.1", client_rate=0.01)
    assert post_as(running, "10.0.0.1").status_code == 200
    assert post_as(running, "10.0.0.2").status_code == 200
    assert post_as(running, "10.0.0.1").status_code == 429
    assert post_as(running, "10.0.0.1:4711").status_code == 429
    assert post_as(running, "[fe80::1]:4711").status_code == 200
    assert post_as(running, "[fe80::1]:4712").status_code == 429


def test_who_comes_past_the_proxy_is_known_by_the_connections_address(serve: Serve) -> None:
    running = serve(trusted_proxy="*", client_rate=0.01)
    place = ("127.0.0.1", int(running.server.effective_port))
    for address in ("127.0.0.1", "127.0.0.2"):
        with socket.create_connection(place, 10, (address, 0)) as client:
            client.sendall(raw_classify())
            assert status_of_next(client) == 200
