"""The headers of every answer."""

import pytest
import requests

from gateway.headers import SECURITY_HEADERS
from tests.gateway.running import Serve
from tests.gateway.stub import Gateway, Start, picture

ORIGIN = {"Origin": "https://a.example"}


@pytest.mark.parametrize(
    "path", ["/healthz", "/v1/models", "/nothing", "/predict", "/openapi.json"]
)
def test_every_answer_has_the_security_headers(gateway: Gateway, path: str) -> None:
    answer = gateway.client.get(path)
    for name, value in SECURITY_HEADERS:
        assert answer.headers.getlist(name) == [value]
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_the_application_never_saw_is_refused_with_the_same_headers(serve: Serve) -> None:
    running = serve(cors_origins=(ORIGIN["Origin"],))
    running.admission.limit = 0
    sent = ORIGIN | {"X-Request-ID": "cam-7"}
    refused = requests.post(f"{running.url}/v1/classify", picture(), headers=sent, timeout=20)
    assert refused.status_code == 503
    expected = {
        **dict(SECURITY_HEADERS),
        "Cache-Control": "no-store",
        "X-Request-ID": "cam-7",
        "Access-Control-Allow-Origin": ORIGIN["Origin"],
    }
    assert {name: refused.headers.get(name) for name in expected} == expected


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline(gateway: Gateway) -> None:
    policy = gateway.client.get("/healthz").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "data:" not in policy and "media-src" not in policy  # the page needs neither
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy


def test_there_is_no_cors_unless_configured(gateway: Gateway) -> None:
    headers = gateway.client.get("/healthz", headers=ORIGIN).headers
    assert not [name for name, _ in headers if name.startswith("Access-Control")]
    assert "Vary" not in headers  # a cache may keep one answer for all


def test_only_configured_origins_are_allowed(start: Start) -> None:
    client = start(cors_origins=("https://a.example",)).client
    allowed = client.options("/v1/classify", headers=ORIGIN).headers
    assert allowed["Access-Control-Allow-Origin"] == "https://a.example"
    sent = {"Authorization", "Content-Type", "X-API-Key", "X-Request-ID"}
    assert set(allowed["Access-Control-Allow-Headers"].split(", ")) == sent
    assert allowed["Vary"] == "Origin"
    other = client.get("/healthz", headers={"Origin": "https://evil.example"}).headers
    assert "Access-Control-Allow-Origin" not in other


def test_a_star_allows_every_origin(start: Start) -> None:
    headers = start(cors_origins=("*",)).client.get("/healthz", headers=ORIGIN).headers
    assert headers["Access-Control-Allow-Origin"] == "*"
