"""The question whether the gateway is ready, and what a long start waits for."""

import contextlib
import json
import math
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from exporter.architectures import ARCHITECTURES
from gateway.ask import ask
from gateway.model_names import is_classifier
from gateway.terminal import tell
from serving.errors import ServeError
from serving.places import Places

PATIENCE = 10.0  # seconds until a start that is not ready says what it waits for


class Inquiry:
    """Asks the gateway whether it is ready; if a start takes long, says once what is missing."""

    def __init__(self, places: Places, ready_file: Path) -> None:
        self._places, self._ready_file = places, ready_file
        self._patience_ends = time.monotonic() + PATIENCE

    def answer(self) -> dict[str, Any]:
        """Return the body of /readyz, or nothing while it is not ready. Raises ServeError."""
        with contextlib.suppress(FileNotFoundError):  # Triton is not ready yet
            ready = json.loads(self._ready_file.read_text())["models"]
            if not self._places.elsewhere:
                _require_model(self._places.gateway.model, ready)
        try:
            with ask(self._places.page + "readyz", timeout=5) as answer:
                said: dict[str, Any] = json.load(answer)
                return said
        except HTTPError as refusal:
            with contextlib.suppress(OSError, ValueError, KeyError, HTTPException):
                self._tell(json.load(refusal)["reason"])
            return {}
        except (OSError, ValueError, HTTPException):  # it may end in the middle of its answer
            return {}

    def _tell(self, reason: str) -> None:
        if time.monotonic() > self._patience_ends:
            self._patience_ends = math.inf
            elsewhere = self._places.elsewhere
            asked = f" (TRITON_URL={elsewhere})" if elsewhere else ""
            tell(f"edgelens: not ready yet{asked}: {reason}", sys.stderr)


def _require_model(wanted: str, ready: list[dict[str, str]]) -> None:
    """Fail if Triton is ready without the model that the user wants: it would never appear."""
    names = {model["name"] for model in ready if is_classifier(model["name"])}
    if wanted and wanted not in names:
        served = ", ".join(sorted(names))
        remedy = f", or add it first with `make model MODEL={wanted}`"
        raise ServeError(
            f"MODEL={wanted} cannot be the default: Triton serves {served}; choose from these"
            + (remedy if wanted in ARCHITECTURES else "")
        )
