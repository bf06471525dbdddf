"""Decide who may call: check API keys where they are required, and limit each client's rate."""

from flask import Request
from werkzeug.datastructures import Headers

from gateway.key_ring import KeyRing
from gateway.rate import RateLimiter

KEY_HEADER = "X-API-Key"


class Access:
    """Check the caller of a request."""

    def __init__(self, keys: KeyRing | None, limiter: RateLimiter) -> None:
        self._keys = keys
        self._limiter = limiter

    @property
    def needs_key(self) -> bool:
        """Tell whether callers must present an API key."""
        return self._keys is not None

    def authorise(self, headers: Headers) -> str:
        """Let a caller pass and name its key, "" if none is needed; raise Unauthorized."""
        return self._keys.check(presented_key(headers)).name if self._keys else ""

    def admit(self, request: Request) -> None:
        """Let a caller pass and count the request; raise Unauthorized or TooManyRequests."""
        if self._keys:
            key = self._keys.check(presented_key(request.headers))
            self._limiter.spend(f"key {key.name}", key.rate)
        else:
            self._limiter.spend(request.remote_addr or "")


def presented_key(headers: Headers) -> str:
    """Return the key from `Authorization: Bearer` or `X-API-Key`, "" if there is none."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return headers.get(KEY_HEADER, "").strip()
