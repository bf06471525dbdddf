"""The models that can be asked now: refreshed in the background, never during a request."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gateway.background import Background
from gateway.contract import ContractError
from gateway.errors import (
    EdgeLensError,
    InferenceFailed,
    ModelNotReady,
    TritonUnavailable,
    UnknownModel,
)
from gateway.model import Model, model_from_config
from gateway.preference import preferred, stands_in_for
from gateway.scrape import Loaded
from gateway.shares import Shares
from gateway.triton import InferenceClient

logger = logging.getLogger(__name__)
REFRESH_SECONDS = 2.0
# At least this long between two: every request for a model that is not there asks for one, which
# costs more than its refusal.
REST_SECONDS = 0.5
REMEMBER_SECONDS = 30.0  # a model that vanished counts as reloading for this long
FORGET_SECONDS = 4.0  # a version refused for this long was retired, and is not reloading
AWAY = "Triton is still starting, or its metrics cannot be reached; try again shortly."
Versions = Mapping[str, Model]


class Catalog:
    """Keep what Triton has loaded: `models[name][version]`."""

    def __init__(
        self,
        triton: InferenceClient,
        default: str = "",
        clock: Callable[[], float] = time.monotonic,
        shares: Mapping[str, Shares] | None = None,
    ) -> None:
        self._triton = triton
        self._wanted = default
        self._unchecked = dict(shares or {})
        self._clock = clock
        self._models: Mapping[str, Versions] = {}
        self._seen: dict[str, float] = {}
        self._refused: dict[tuple[str, str], float] = {}  # since when
        self._complaints: dict[tuple[str, str], str] = {}
        self.is_away = False  # whether Triton left the last refresh unanswered
        self._loaded = Loaded(frozenset(), {})
        self._background = Background("catalog", self._refresh_again, REST_SECONDS)

    def start(self) -> None:
        """Refresh every two seconds, or soon when `wake` is called, until `stop`."""
        self._background.start()

    def stop(self) -> None:
        """End what `start` began."""
        self._background.stop()

    def wake(self) -> None:
        """Ask for a refresh soon: Triton's answer did not match what we know."""
        self._background.wake()

    def refresh(self) -> None:
        """Ask Triton what is loaded; keep the last known state if it does not answer."""
        try:
            loaded, self.is_away = self._triton.loaded(), False
        except TritonUnavailable:
            # What is known of each version is kept, but not which of them are loaded.
            loaded, self.is_away = replace(self._loaded, versions=frozenset()), True
        if not self.is_away:
            told = self._complaints.items()
            self._complaints = {key: text for key, text in told if key in loaded.versions}
        known = {(n, v) for n, versions in self._models.items() for v in versions}
        fallback = {(self._wanted, "")} if self._wanted and not loaded.versions else set()
        asked = loaded.versions | known | fallback
        self._refused = {key: since for key, since in self._refused.items() if key in asked}
        found: dict[str, dict[str, Model]] = {}
        for name, version in sorted(asked):
            model = self._describe(name, version, loaded)
            if model:
                found.setdefault(name, {})[model.version] = model
                self._seen[name] = self._clock()
        self._models = found
        self._seen = {name: seen for name, seen in self._seen.items() if self._is_recent(seen)}
        self._loaded = loaded
        if found and not self.is_away:
            self._check_shares()

    def models(self) -> Mapping[str, Versions]:
        """Return every classifier by name and version."""
        return self._models

    def remembered(self) -> list[str]:
        """Return the names of the classifiers, and of those that vanished and may return."""
        return list(self._seen)

    def inferred(self, name: str) -> float:
        """Return how many pictures a model had inferred, in all versions, at the last refresh."""
        return sum(count for (model, _), count in self._loaded.inferred.items() if model == name)

    def default(self) -> str:
        """Return the model that answers when none is named; raise TritonUnavailable if unknown."""
        if self._wanted:
            return self._wanted
        served = self._all_newest()
        if not served:
            reason = self._unusable() or "No model is loaded yet; try again."
            raise TritonUnavailable(AWAY if self.is_away else reason)
        return preferred(served)

    def asked(self, name: str) -> str:
        """Return the model that a request for `name` asks, the default one for ""; "" if unknown.

        Raises TritonUnavailable if there is no default.
        """
        name = name or self.default()
        return name if name in self._models else ""

    def stands_in_for(self) -> str:
        """Return the model that the default stands in for; "" if none, or if MODEL is set."""
        return "" if self._wanted else stands_in_for(self._all_newest())

    def find(self, name: str, version: str = "") -> Model:
        """Return a model by name and version, the newest version by default.

        Raises UnknownModel, or ModelNotReady while a known model cannot answer.
        """
        versions = self._models.get(name)
        if not versions:
            raise self._missing(name)
        if not version:
            return newest(versions)
        if version not in versions:
            self.wake()
            raise UnknownModel("No such version of this model is loaded.")
        return versions[version]

    def _refresh_again(self) -> float:
        self.refresh()
        return REFRESH_SECONDS

    def _all_newest(self) -> Mapping[str, Model]:
        return {name: newest(versions) for name, versions in self._models.items()}

    def _missing(self, name: str) -> EdgeLensError:
        self.wake()
        if self.is_away:
            return TritonUnavailable(AWAY)
        unusable = self._unusable(name)
        if unusable:
            return ModelNotReady(unusable) if name == self._wanted else UnknownModel(unusable)
        lately = self._is_recent(self._seen.get(name, float("-inf")))
        if name == self._wanted and self._models and not lately:
            there = ", ".join(sorted(self._models))
            return ModelNotReady(f"MODEL names {name}, which is not loaded; use one of: {there}.")
        if lately or not self._models:
            return ModelNotReady("This model is being loaded; try again shortly.")
        return UnknownModel("No such model is loaded; GET /v1/models lists them.")

    def _is_recent(self, seen: float) -> bool:
        return self._clock() - seen < REMEMBER_SECONDS

    def _unusable(self, wanted: str = "") -> str:
        """Say what a loaded model lacks, any model by default; "" if none lacks anything."""
        for (name, _), complaint in list(self._complaints.items()):  # a refresh may add to it
            if not wanted or name == wanted:
                return f"The model {name} is loaded, but cannot be used here. {complaint}"
        return ""

    def _check_shares(self) -> None:
        """Log once what VERSION_SHARES names in vain: the other versions answer in its place."""
        while self._unchecked:
            name, shares = self._unchecked.popitem()
            absent = shares.weights.keys() - self._models.get(name, {}).keys()
            if absent:
                versions = ", ".join(sorted(absent, key=int))
                logger.warning("VERSION_SHARES: %s has no version %s in service", name, versions)

    def _describe(self, name: str, version: str, loaded: Loaded) -> Model | None:
        """Read one model's configuration; None if it is gone or is not a classifier."""
        try:
            config = self._triton.config(name, version)
            self._refused.pop((name, version), None)
            info = loaded.info.get((name, version), {})
            model = model_from_config(config, version or _version_by_policy(config), info)
            self._complaints.pop((name, version), None)
            return model
        except ContractError as error:
            if self._complaints.get((name, version)) != str(error):
                logger.warning("only Triton serves the model %s: %s", name, error)
            self._complaints[name, version] = str(error)
            return None
        except UnknownModel:
            return None
        except ModelNotReady:
            return self._known(name, version) if self._may_return(name, version) else None
        except EdgeLensError as error:
            if isinstance(error, InferenceFailed):
                logger.error("no configuration: %s", error.for_log())
            return self._known(name, version)

    def _known(self, name: str, version: str) -> Model | None:
        return self._models.get(name, {}).get(version)

    def _may_return(self, name: str, version: str) -> bool:
        """Tell whether a version may be reloading, or missing on only one of several replicas."""
        since = self._refused.setdefault((name, version), self._clock())
        return self._clock() - since < FORGET_SECONDS


def newest(versions: Versions) -> Model:
    """Return a model's version with the highest number."""
    return versions[max(versions, key=int)]


def _version_by_policy(config: Any) -> str:
    """Guess the version if the metrics do not tell: the highest one that the policy names."""
    versions = list(config.version_policy.specific.versions)
    return str(max(versions, default=1))
