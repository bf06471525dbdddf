"""The one JSON shape of every error, for Flask's answers and for the server's own."""

import json
import math
from functools import lru_cache

from gateway.errors import EdgeLensError
from gateway.headers import Fields

JSON_TYPE = "application/json"


def refusal_body(path: str, code: str, message: str) -> bytes:
    """Return `{"error": {"code", "message"}}`; /predict also gets `"success": false`."""
    return _body(path == "/predict", code, message)


@lru_cache  # under overload, the same few are written hundreds of times a second
def _body(is_predict: bool, code: str, message: str) -> bytes:
    body: dict[str, object] = {"error": {"code": code, "message": message}}
    if is_predict:
        body = {"success": False, **body}
    return json.dumps(body).encode() + b"\n"


def refusal_headers(error: EdgeLensError) -> Fields:
    """Return the headers an error needs: its type, Retry-After, how to authenticate."""
    headers = [("Content-Type", JSON_TYPE)]
    if error.retry_after is not None:
        headers.append(("Retry-After", str(max(1, math.ceil(error.retry_after)))))
    if error.status == 401:
        headers.append(("WWW-Authenticate", 'Bearer realm="edgelens"'))
    return headers
