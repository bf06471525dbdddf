"""Who asks, and whether they may: API keys where they are required, and the rate of each client."""

from flask import Request

from gateway.keys import KeyRing
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

    def authorise(self, request: Request) -> None:
        """Let a caller pass; raise Unauthorized without a valid API key."""
        if self._keys:
            self._keys.check(presented_key(request))

    def admit(self, request: Request) -> None:
        """Let a caller pass and count the request; raise Unauthorized or TooManyRequests."""
        if self._keys:
            key = self._keys.check(presented_key(request))
            self._limiter.spend(f"key {key.name}", key.rate)
        else:
            self._limiter.spend(request.remote_addr or "")


def presented_key(request: Request) -> str:
    """Return the key from `Authorization: Bearer` or `X-API-Key`, "" if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.headers.get(KEY_HEADER, "").strip()
