"""Triton's HTTP endpoint as the launcher uses it; safe to share between threads."""

import http.client
import json
from typing import Any
from urllib.parse import quote

from inference.errors import TritonAway, TritonError, TritonRefused, TritonSilent

ADMIN_HEADER = "x-edgelens-admin"


class AdminClient:
    """Calls one Triton, with the key that opens its repository and statistics endpoints."""

    def __init__(self, host: str, port: int, admin_key: str) -> None:
        self._host, self._port = host, port
        self._headers = {ADMIN_HEADER: admin_key}

    def is_live(self) -> bool:
        """Tell whether Triton has started; it answers only after it loaded its models."""
        try:
            self.call("GET", "/v2/health/live", timeout=2.0)
        except TritonError:
            return False
        return True

    def version(self) -> str:
        """Name Triton's version, e.g. "2.51.0"."""
        return str(self._json("GET", "/v2", timeout=5.0)["version"])

    def loaded(self, timeout: float) -> list[tuple[str, str]]:
        """List the (model, version) pairs that are ready to infer."""
        # Not from the index: for that, Triton reads the repository, and one link in it that leads
        # nowhere makes it refuse.
        answer = self._json("GET", "/v2/models/stats", timeout=timeout)
        return sorted((entry["name"], entry["version"]) for entry in answer["model_stats"])

    def index(self, timeout: float) -> list[dict[str, str]]:
        """List the repository's models, each version with its state. Raises TritonError."""
        entries: list[dict[str, str]] = self._json(
            "POST", "/v2/repository/index", b"{}", timeout=timeout
        )
        return entries

    def loading(self, timeout: float) -> list[tuple[str, str]]:
        """List the (model, version) pairs that are being loaded."""
        entries = self.index(timeout)
        return [(e["name"], e["version"]) for e in entries if e.get("state") == "LOADING"]

    def config(self, model: str, version: str, timeout: float = 5.0) -> dict[str, Any]:
        """Fetch a loaded model's completed configuration."""
        path = f"{_path(model, version)}/config"
        config: dict[str, Any] = self._json("GET", path, timeout=timeout)
        return config

    def statistics(self, model: str, version: str, timeout: float) -> list[dict[str, Any]]:
        """Fetch the counters of one version of a model, or of all for an empty version."""
        answer = self._json("GET", f"{_path(model, version)}/stats", timeout=timeout)
        statistics: list[dict[str, Any]] = answer["model_stats"]
        return statistics

    def load(self, model: str, timeout: float) -> None:
        """Load a model, or reload it. Raises TritonError."""
        self.call("POST", f"/v2/repository/models/{quote(model)}/load", b"{}", timeout=timeout)

    def unload(self, model: str, timeout: float) -> None:
        """Unload a model. Raises TritonError."""
        self.call("POST", f"/v2/repository/models/{quote(model)}/unload", b"{}", timeout=timeout)

    def infer(self, model: str, version: str, body: bytes, head: int, timeout: float) -> None:
        """Run one inference whose JSON part is `head` bytes long. Raises TritonError."""
        headers = {"Inference-Header-Content-Length": str(head)}
        self.call("POST", f"{_path(model, version)}/infer", body, headers, timeout)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 5.0,
    ) -> bytes:
        """Make one call on a connection of its own; returns the body. Raises TritonError."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        try:
            connection.request(method, path, body, self._headers | (headers or {}))
            response = connection.getresponse()
            content = response.read()
        except TimeoutError:
            raise TritonSilent(f"no answer within {timeout:g} s") from None
        except (OSError, http.client.HTTPException) as exc:
            raise TritonAway(f"the connection failed: {exc or type(exc).__name__}") from None
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise TritonRefused(response.status, _message(content))
        return content

    def _json(self, method: str, path: str, body: bytes | None = None, *, timeout: float) -> Any:
        content = self.call(method, path, body, timeout=timeout)
        try:
            return json.loads(content)
        except ValueError:
            raise TritonAway(f"{path} did not answer with JSON") from None


def _path(model: str, version: str) -> str:
    return f"/v2/models/{quote(model)}" + (f"/versions/{quote(version)}" if version else "")


def _message(content: bytes) -> str:
    """Read the error from Triton's answer, or take the answer as it is."""
    text = content.decode(errors="replace")
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or "an error without a message"
