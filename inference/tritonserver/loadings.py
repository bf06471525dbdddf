"""Notices that a model's process has died during a load, for which Triton 24.10 waits for ever."""

import time
from collections.abc import Iterable

from inference.tritonserver.stubs import ModelStubs

# Between the process that completes a configuration and those that infer there is a gap.
ABSENT_SECONDS = 5.0


class Loading:
    """One load of a model."""

    def __init__(
        self, stubs: ModelStubs, model: str, version: str = "", alone: bool = False
    ) -> None:
        """Begin to watch; if the load is `alone`, no other load's processes end meanwhile."""
        self._stubs, self._model, self._version = stubs, model, version
        self._before = stubs.dead() if alone else None
        self._seen_at: float | None = None

    def is_lost(self) -> bool:
        """Tell whether the model's process has been gone for too long; call this repeatedly."""
        now = time.monotonic()
        lives = bool(self._stubs.pids(self._model, self._version))
        if lives or (self._seen_at is None and self._came_and_went()):
            self._seen_at = now
        return self._seen_at is not None and now - self._seen_at > ABSENT_SECONDS

    def _came_and_went(self) -> bool:
        """Tell whether a process ended between two looks, or before the first."""
        return self._before is not None and bool(self._stubs.dead() - self._before)


class Loadings:
    """The loads under way on a server, whoever asked for them."""

    def __init__(self, stubs: ModelStubs) -> None:
        self._stubs = stubs
        self._known: dict[tuple[str, str], Loading] = {}

    def lost(self, under_way: Iterable[tuple[str, str]]) -> list[str]:
        """Name the models that will never be loaded, of the (model, version) being loaded now."""
        self._known = {key: self._known.get(key) or Loading(self._stubs, *key) for key in under_way}
        return [model for (model, _), loading in self._known.items() if loading.is_lost()]
