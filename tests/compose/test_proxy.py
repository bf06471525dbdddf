"""A proxy in front of the balancer: its clients are told apart if it is trusted."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from tests.compose.docker import docker
from tests.compose.stack import Stack, address_of
from tests.waiting import wait_until

SLOW = "CLIENT_RATE=0.001"  # one request, and no other before the test is over
ANYBODY = "TRUSTED_PROXY=0.0.0.0/0"


@pytest.fixture(params=[ANYBODY, ""], ids=["trusted", "not trusted"])
def balancer(stack: Stack, request: pytest.FixtureRequest) -> Iterator[tuple[str, bool]]:
    """A balancer's URL, and whether it trusts proxies; its gateway limits its clients' rate."""
    gateway, name = f"{stack.project}-counting", f"{stack.project}-behind-a-proxy"
    settings = dict(text.split("=") for text in (SLOW, request.param) if text)
    behind = replace(stack, extra={**stack.extra, **settings})
    run = ("run", "--detach", "--no-deps", "--name")
    behind.compose(*run, gateway, "gateway")
    behind.compose(*run, name, "--env", f"GATEWAY_NAME={gateway}", "balancer")
    try:
        url = f"http://{address_of(name)}:5000/v1/classify"
        wait_until(lambda: status(url, "203.0.113.1") == 400, "a gateway answers", 60)
        yield url, bool(request.param)
    finally:
        docker("rm", "--force", name, gateway)


def test_clients_of_a_trusted_proxy_are_told_apart(balancer: tuple[str, bool]) -> None:
    url, trusted = balancer
    assert status(url, "203.0.113.1") == 429
    assert status(url, "203.0.113.2") == (400 if trusted else 429)


def status(url: str, client: str) -> int:
    """Post an empty body, as a proxy does for a client."""
    try:
        return requests.post(url, headers={"X-Forwarded-For": client}, timeout=5).status_code
    except requests.ConnectionError:  # HAProxy is still starting
        return 0
