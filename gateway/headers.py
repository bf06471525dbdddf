"""The headers of every answer: a strict content policy, and CORS only where it is configured."""

import re
import secrets
from collections.abc import Collection, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
CORS_HEADERS = (
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, X-API-Key, X-Request-ID"),
    ("Access-Control-Expose-Headers", "Retry-After, X-Request-ID"),
    ("Access-Control-Max-Age", "600"),
)
NO_STORE = "no-store"
Fields = list[tuple[str, str]]


def request_id(given: str) -> str:
    """Return a request's id for its answer and the log: the proxy's, or a new one."""
    return given if re.fullmatch(r"[\w.:-]{1,128}", given, re.ASCII) else secrets.token_hex(8)


def answer_headers(origin: str, allowed: Collection[str]) -> Fields:
    """Return the security headers, and the CORS headers for an allowed origin."""
    headers = list(SECURITY_HEADERS)
    if allowed:
        headers.append(("Vary", "Origin"))
    if "*" in allowed or origin in allowed:
        headers.append(("Access-Control-Allow-Origin", "*" if "*" in allowed else origin))
        headers += CORS_HEADERS
    return headers


def with_answer_headers(application: WSGIApplication, allowed: Collection[str]) -> WSGIApplication:
    """Return a WSGI application that adds these headers to every answer.

    They never change, so they bypass Flask's own Headers, which would check and copy each one.
    """

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        ours = answer_headers(environ.get("HTTP_ORIGIN", ""), allowed)

        def start_with_ours(status: str, headers: Fields, *error: Any) -> Any:
            return start(status, headers + ours, *error)

        return application(environ, start_with_ours)

    return answer
