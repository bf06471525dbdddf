"""Wire the gateway's parts into a Flask application."""

import logging
import time
import traceback
from http import HTTPStatus
from pathlib import Path

from flask import Flask, Response, current_app, g, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException

from gateway.admission import TICKET
from gateway.config import Settings
from gateway.deadline import ClientGone
from gateway.errors import EdgeLensError
from gateway.headers import NO_STORE, request_id, with_answer_headers
from gateway.refusals import JSON_TYPE, refusal_body, refusal_headers
from gateway.routes import bp
from gateway.services import Services
from gateway.triton import InferenceClient

logger = logging.getLogger(__name__)
FRONTEND = Path(__file__).resolve().parent.parent / "frontend"
CLIENT_GONE_STATUS = 499  # nobody reads it; it is for the metrics


def create_app(settings: Settings, triton: InferenceClient | None = None) -> Flask:
    """Return the application; `app.extensions["edgelens"].start()` begins its background work."""
    app = Flask(__name__, static_folder=FRONTEND, static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    assert isinstance(app.json, DefaultJSONProvider)  # noqa: S101 (for mypy)
    app.json.sort_keys = False  # the best label comes first
    # The redirects of `merge_slashes` would name http:// behind TLS, and repeat what was sent.
    app.url_map.merge_slashes = False
    services = Services.build(settings, triton)
    app.extensions["edgelens"] = services
    app.register_blueprint(bp)
    app.register_error_handler(EdgeLensError, lambda error: _answer_error(error, services))
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(ClientGone, _answer_nobody)
    app.register_error_handler(Exception, _answer_unknown)
    app.before_request(_start_clock)
    app.after_request(lambda response: _finish(response, services))
    answered = with_answer_headers(app.wsgi_app, settings.cors_origins)
    app.wsgi_app = answered  # type: ignore[assignment, method-assign]
    return app


def _start_clock() -> None:
    g.started = time.monotonic()
    g.request_id = request_id(request.headers.get("X-Request-ID", ""))


def _finish(response: Response, services: Services) -> Response:
    response.headers.setdefault("Cache-Control", NO_STORE)
    response.headers["X-Request-ID"] = g.request_id
    route = _route()
    services.metrics.requests.labels(route, response.status_code).inc()
    ticket = request.environ.get(TICKET)
    if ticket:  # it was not held by `_place` if the caller or an option was refused
        ticket.leave()
    arrived = ticket.deadline.start if ticket else g.started
    if response.status_code < HTTPStatus.BAD_REQUEST or _is_failure(response.status_code):
        services.metrics.seconds.labels(route).observe(time.monotonic() - arrived)
    return response


def _is_failure(status: int) -> bool:
    """Tell whether the server failed; with 503 it only asks to come again."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.SERVICE_UNAVAILABLE


def _route() -> str:
    """Return the route, even if only the method is wrong; "other" for unknown paths."""
    if request.url_rule:
        return request.url_rule.rule
    rules = {rule.rule for rule in current_app.url_map.iter_rules()}
    return request.path if request.path in rules else "other"


def _answer_error(error: EdgeLensError, services: Services) -> Response:
    services.metrics.reject(error)
    if _is_failure(error.status):
        told = (g.request_id, _route(), error.status, error.code, error.for_log())
        logger.error("request %s: %s %s %s: %s", *told)
    body = refusal_body(request.path, error.code, error.message)
    return Response(body, error.status, refusal_headers(error))


def _answer_http_error(error: HTTPException) -> Response:
    """Give Flask's own errors our shape: no such page, wrong method, body too large."""
    status = HTTPStatus(error.code or 500)
    code = "too_large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else status.name.lower()
    response = Response(refusal_body(request.path, code, _sentence(status)), status)
    response.headers["Content-Type"] = JSON_TYPE
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _sentence(status: HTTPStatus) -> str:
    if status == HTTPStatus.NOT_FOUND:
        return "There is nothing here; /docs describes the API."
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return "This address takes another method; /docs describes the API."
    return f"{status.description or status.phrase}."


def _answer_nobody(_: ClientGone) -> Response:
    return Response(status=CLIENT_GONE_STATUS)


def _answer_unknown(error: Exception) -> Response:
    """Log the error's type and place, never its message or variables: they may hold client data."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = type(error).__name__
    logger.error("request %s: %s at %s:%s", g.request_id, what, place.filename, place.lineno)
    body = refusal_body(request.path, "internal_error", "The gateway failed; it has been logged.")
    return Response(body, 500, content_type=JSON_TYPE)
