"""The application as a whole: its errors and its description."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway import errors
from gateway.admission import TICKET
from gateway.errors import EdgeLensError, InferenceFailed, Overloaded
from gateway.openapi import OPENAPI, describe_api
from gateway.refusals import refusal_headers
from gateway.routes import DISCONNECTED
from gateway.transport.reply import MESSAGES
from tests.gateway.stub import Gateway, Start, picture

SECRET = "what the client sent"


def test_errors_of_the_framework_have_our_shape(gateway: Gateway) -> None:
    missing = gateway.client.get("/nothing")
    assert (missing.status_code, missing.get_json()["error"]["code"]) == (404, "not_found")
    wrong = gateway.client.delete("/v1/classify")
    assert (wrong.status_code, wrong.get_json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["Allow"]
    told = wrong.get_json()["error"]["message"]
    assert told == "This address takes another method; /docs describes the API."
    assert gateway.client.get("/predict").get_json()["success"] is False


def test_a_body_over_the_limit_is_too_large(start: Start) -> None:
    answer = start(max_body_bytes=1000).classify(b"x" * 1001)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (413, "too_large")


def test_a_stopped_gateway_watches_triton_no_more(gateway: Gateway) -> None:
    before = set(threading.enumerate())
    gateway.services.start()
    watching = set(threading.enumerate()) - before
    assert {thread.name for thread in watching} == {"catalog", "readiness"}
    gateway.services.stop()
    for thread in watching:
        thread.join(20)
        assert not thread.is_alive()


def test_an_unknown_failure_is_logged_without_the_clients_data(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.triton.failure = RuntimeError(SECRET)
    with caplog.at_level(logging.ERROR):
        answer = gateway.classify()
    assert answer.status_code == 500
    assert answer.get_json()["error"]["code"] == "internal_error"
    assert re.search(r"RuntimeError at .+/stub\.py:\d+", caplog.text)
    assert SECRET not in caplog.text + answer.get_data(as_text=True)


def test_unknown_paths_do_not_fill_the_metrics(gateway: Gateway) -> None:
    gateway.client.get("/some/scanner")
    text = gateway.client.get("/metrics").get_data(as_text=True)
    assert 'route="other",status="404"' in text
    assert "scanner" not in text


def test_a_wrong_method_is_counted_by_its_route(gateway: Gateway) -> None:
    gateway.client.delete("/v1/classify")
    text = gateway.client.get("/metrics").get_data(as_text=True)
    assert 'route="/v1/classify",status="405"' in text


def test_only_what_was_not_refused_is_timed_from_its_arrival_on(gateway: Gateway) -> None:
    gateway.client.post("/v1/classify", data=b"no picture", content_type="image/jpeg")
    for gateway.triton.failure in (None, Overloaded("full")):
        ticket = gateway.admission.enter("somebody")
        ticket.deadline.start -= 5  # it has waited for a thread
        gateway.client.post(
            "/v1/classify",
            data=picture(),
            content_type="image/jpeg",
            environ_overrides={TICKET: ticket},
        )
    read = gateway.services.metrics.registry.get_sample_value
    assert read("edgelens_http_request_seconds_count", {"route": "/v1/classify"}) == 1
    assert read("edgelens_http_request_seconds_sum", {"route": "/v1/classify"}) > 5


def test_a_client_that_hung_up_is_no_failure(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    answer = gateway.client.post(
        "/v1/classify",
        data=picture(),
        content_type="image/jpeg",
        environ_overrides={DISCONNECTED: lambda: True},
    )
    assert answer.status_code == 499
    assert gateway.triton.batches == []
    assert not caplog.messages


def test_no_address_leads_to_another_one(gateway: Gateway) -> None:
    assert gateway.client.get("/v1//models").status_code == 404


def test_nobody_is_told_to_come_back_at_once() -> None:
    assert ("Retry-After", "1") in refusal_headers(Overloaded("full", retry_after=0.0))


def test_the_description_covers_every_route(gateway: Gateway) -> None:
    paths = gateway.client.get("/openapi.json").get_json()["paths"]
    described = {(path, method.upper()) for path, item in paths.items() for method in item}
    rules = gateway.client.application.url_map.iter_rules()
    served = {
        (rule.rule, method)
        for rule in rules
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    assert described == served


def test_the_description_asks_for_keys_only_where_the_gateway_does() -> None:
    with_keys, without = (json.loads(describe_api(needed, 32)) for needed in (True, False))
    assert with_keys == json.loads(OPENAPI.read_text())
    operation = with_keys["paths"]["/v1/classify"]["post"]
    assert operation["security"] == [{"bearer": []}, {"apiKey": []}]
    assert "401" in operation["responses"]
    assert "securitySchemes" not in without["components"]
    assert list(without["paths"]["/v1/models"]["get"]["responses"]) == ["200"]
    assert not [word for word in ("401", "security") if word in json.dumps(without["paths"])]


def test_the_description_states_how_many_pictures_may_come(start: Start) -> None:
    schemas = start(max_pictures=3).client.get("/openapi.json").get_json()["components"]["schemas"]
    assert schemas["Files"]["maxItems"] == 3
    assert schemas["SeveralPictures"]["properties"]["images"]["maxItems"] == 3


def nested(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object within a JSON value."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from nested(inner)


def test_a_generated_client_need_not_make_up_names_for_what_is_answered() -> None:
    document = json.loads(describe_api(True, 32))
    within = [schema.get("properties") for schema in document["components"]["schemas"].values()]
    within += [schema.get("oneOf") for schema in document["components"]["schemas"].values()]
    for path in document["paths"].values():
        within += [operation["responses"] for operation in path.values()]
    assert not [schema for schema in nested(within) if "properties" in schema]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/html"), ("/docs", "text/html"), ("/static/app.js", "text/javascript")],
)
def test_the_pages_are_served_and_never_stale(gateway: Gateway, path: str, kind: str) -> None:
    with gateway.client.get(path) as answer:
        assert answer.status_code == 200
        assert answer.mimetype == kind
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["nothing", "..%2fREADME.md", "../gateway/app.py", "%00"])
def test_nothing_but_the_pages_files_can_be_fetched(gateway: Gateway, name: str) -> None:
    assert gateway.client.get(f"/static/{name}").status_code == 404


def test_a_failure_can_be_traced_by_its_id(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.triton.failure = InferenceFailed("Triton refused it.", said="vgg16: 'no memory'")
    answer = gateway.client.post(
        "/v1/classify", data=b"x", headers={"X-Request-ID": "cam-7", "Content-Type": "image/png"}
    )
    assert answer.headers["X-Request-ID"] == "cam-7"
    assert gateway.client.get("/healthz", headers={"X-Request-ID": "a b"}).headers[
        "X-Request-ID"
    ] not in ("", "a b")
    with caplog.at_level(logging.ERROR):
        failed = gateway.classify()
    assert failed.status_code == 502
    assert failed.get_json()["error"]["message"] == "Triton refused it."
    assert caplog.messages == [
        f"request {failed.headers['X-Request-ID']}: /v1/classify 502 inference_failed: "
        "Triton refused it. vgg16: 'no memory'"
    ]


def test_the_document_lists_every_code_of_an_error_and_no_other(gateway: Gateway) -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    ours = {kind.code for kind in kinds if issubclass(kind, EdgeLensError)}
    flasks = (
        gateway.client.get("/nowhere"),
        gateway.client.delete("/v1/models"),
        gateway.client.get("/", headers={"Range": "bytes=1000000-"}),
    )
    of_http = {code for code, _ in MESSAGES.values()}
    of_http |= {answer.get_json()["error"]["code"] for answer in flasks}
    code = json.loads(OPENAPI.read_text())["components"]["schemas"]["Problem"]["properties"]["code"]
    assert set(code["enum"]) == ours | of_http
