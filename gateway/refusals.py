"""The one JSON shape of every error, for Flask's answers and for the server's own."""

import json
import math

from werkzeug.datastructures import Headers

from gateway.errors import EdgeLensError

JSON_TYPE = "application/json"


def refusal_body(path: str, code: str, message: str) -> bytes:
    """Return `{"error": {"code", "message"}}`; /predict says `"success": false` besides."""
    body: dict[str, object] = {"error": {"code": code, "message": message}}
    if path == "/predict":
        body = {"success": False, **body}
    return json.dumps(body).encode() + b"\n"


def refusal_headers(error: EdgeLensError) -> Headers:
    """Return the headers an error needs: its type, Retry-After, how to authenticate."""
    headers = Headers([("Content-Type", JSON_TYPE)])
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="edgelens"'
    return headers
