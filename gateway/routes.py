"""The HTTP endpoints. Nothing here knows about pixels or Triton's protocol."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.admission import TICKET, Ticket
from gateway.catalog import Versions, newest
from gateway.classifier import Classification, Result
from gateway.errors import (
    BadRequest,
    DeadlineExceeded,
    ModelNotReady,
    TritonUnavailable,
)
from gateway.options import ClassifyOptions
from gateway.services import Services
from gateway.turn import turn
from gateway.uploads import read_pictures

bp = Blueprint("api", __name__)
DISCONNECTED = "waitress.client_disconnected"
PREDICT_TOP = 5


def services() -> Services:
    """Return the parts of the app that answers this request."""
    found: Services = current_app.extensions["edgelens"]
    return found


@bp.get("/")
def page() -> ResponseReturnValue:
    """Show the upload page."""
    return current_app.send_static_file("index.html")


@bp.get("/docs")
def docs() -> ResponseReturnValue:
    """Show the API's documentation."""
    return current_app.send_static_file("docs.html")


@bp.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """Return the API's description."""
    return Response(services().openapi, mimetype="application/json")


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer 200 while this process runs, whatever Triton does."""
    return {"status": "ok"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Answer 200 only if a real inference succeeded recently."""
    state = services().readiness.as_json()
    if state["status"] == "ready":
        return state
    return state, 503, {"Retry-After": "2"}


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Return the metrics for Prometheus."""
    return Response(generate_latest(services().metrics.registry), content_type=CONTENT_TYPE_LATEST)


@bp.get("/v1/models")
def models() -> ResponseReturnValue:
    """List the available classifiers, and the limits of one request."""
    parts = services()
    parts.access.authorise(request.headers)
    served = parts.catalog.models()
    default = parts.catalog.default() if served else ""
    absent = parts.catalog.stands_in_for()
    listed = [
        describe_model(name, versions, name == default, absent)
        for name, versions in sorted(served.items())
    ]
    return {"models": listed, "limits": parts.settings.limits()}


def describe_model(
    name: str, versions: Versions, is_default: bool, stands_in_for: str
) -> dict[str, Any]:
    """Return a model's entry in the list of models."""
    return {
        "name": name,
        "versions": sorted(versions, key=int),
        "default": is_default,
        **({"stands_in_for": stands_in_for} if is_default and stands_in_for else {}),
        **newest(versions).as_json(),
    }


@bp.post("/v1/classify")
def classify() -> ResponseReturnValue:
    """Classify every picture of the request; best label first."""
    services().access.admit(request)
    answer = _classify(ClassifyOptions.from_args(request.args))
    _raise_if_only_error(answer, single=True)
    return {
        "model": answer.model.name,
        "version": answer.version,
        "weights": answer.weights,
        "results": [result.as_json() for result in answer.results],
    }


@bp.post("/predict")
def predict() -> ResponseReturnValue:
    """Answer like the well-known Keras upload form: `label: 97.10%` as keys and value."""
    services().access.admit(request)
    if request.args:
        raise BadRequest("/predict takes no parameters; use /v1/classify.")
    answer = _classify(ClassifyOptions(top_k=PREDICT_TOP))
    _raise_if_only_error(answer, single=False)
    return {"success": True, "result": [predict_entry(result) for result in answer.results]}


def predict_entry(result: Result) -> dict[str, Any]:
    """Return `{"class": best label, other label: "", ...}`, or the picture's error."""
    if result.error:
        return {"error": result.error.as_json()}
    entry: dict[str, Any] = {}
    for prediction in result.predictions:
        text = f"{prediction.label}: {prediction.probability:.2%}"
        if not entry:
            entry["class"] = text
        elif prediction.wnid and (text == entry["class"] or text in entry):
            # Two ImageNet classes share the name "crane", and two share "maillot".
            entry[f"{prediction.label} ({prediction.wnid}): {prediction.probability:.2%}"] = ""
        else:
            entry[text] = ""
    return entry


def _classify(options: ClassifyOptions) -> Classification:
    parts = services()
    parts.readiness.require(options.model)
    with _place(options.model) as ticket:
        with turn(request.content_length, ticket.deadline):
            pictures = read_pictures(request, parts.upload_limits)
        ticket.grow(len(pictures))
        answer = parts.classifier.classify(pictures, options, ticket.deadline)
        inferred = any(not result.error for result in answer.results)
        if inferred:  # how fast pictures are refused says nothing about the model
            ticket.outcome = "answered"
    if inferred:
        parts.readiness.succeeded(answer.model.name)
    for result in answer.results:
        outcome = result.error.code if result.error else "classified"
        parts.metrics.pictures.labels(answer.model.name, outcome).inc()
    return answer


@contextmanager
def _place(model: str) -> Iterator[Ticket]:
    """Hold the request's place: the server's ticket, or our own if another server runs the app."""
    parts = services()
    ticket: Ticket | None = request.environ.get(TICKET)
    if ticket is None:
        admission = parts.admissions.of(parts.catalog.asked(model))
        ticket = admission.enter(request.remote_addr or "")
    ticket.deadline.client_gone = request.environ.get(DISCONNECTED, ticket.deadline.client_gone)
    try:
        yield ticket
    except DeadlineExceeded:
        ticket.outcome = "late"
        raise
    except ModelNotReady:
        raise  # Triton itself answers, or was not even asked
    except TritonUnavailable:
        parts.readiness.doubted(model)
        raise
    finally:
        # Before the answer is sent: a client's next request must find this place free.
        ticket.leave()


def _raise_if_only_error(answer: Classification, single: bool) -> None:
    """Fail the whole request if all its pictures failed; if `single`, only if there is just one."""
    errors = [result.error for result in answer.results if result.error]
    if len(errors) == len(answer.results) and (len(errors) == 1 or not single):
        raise errors[0]
