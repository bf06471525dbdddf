"""The running server as a deployment sees it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from inference.admin_client import AdminClient
from inference.contracts.check import Check
from inference.contracts.endpoint import Endpoint
from inference.contracts.errors import Deviation
from inference.contracts.report import Report
from inference.deployment.errors import DeployError
from inference.errors import TritonError, TritonRefused
from inference.grpc_control import GrpcControl
from inference.model_config import Config

LOAD_SECONDS = 900.0
UNLOAD_SECONDS = 60.0
FREE_SECONDS = 10.0
POLL_SECONDS = 0.1
QUIET_SECONDS = 5.0  # a large batch on a slow machine takes no longer
DRAIN_SECONDS = 60.0
GONE = "UNAVAILABLE"
FORBIDDEN = 403


@dataclass(frozen=True)
class Server:
    """Triton's repository control, and the self-test over its HTTP endpoint."""

    client: AdminClient
    control: GrpcControl | AdminClient
    http: Endpoint
    say: Callable[[str], None]

    def versions(self, model: str) -> set[int]:
        """Return the versions of a model that are ready. Raises DeployError if it may not ask."""
        return {int(version) for version, state in self._states(model).items() if state == "READY"}

    def finds(self, model: str) -> bool:
        """Tell whether the model is in the repository that the server reads, loaded or not."""
        return any(entry["name"] == model for entry in self._index())

    def config(self, model: str) -> Config:
        """Return the configuration with which a model was loaded; nothing if it is not."""
        try:
            return self.http.config(model)
        except Deviation:
            return {}

    def load(self, model: str) -> None:
        """Load what the model's configuration says. Raises DeployError with Triton's reason."""
        try:
            self.control.load(model, LOAD_SECONDS)
        except TritonError as error:
            raise DeployError(str(error)) from None

    def unload(self, model: str) -> None:
        """Unload a model and wait until its memory is free; one that is not loaded is fine.

        A version whose process has died stays "unloading" in 24.10 for ever: it holds no memory.
        """
        ready = self.versions(model)
        try:
            self.control.unload(model, UNLOAD_SECONDS)
        except TritonRefused:
            return
        except TritonError as error:
            raise DeployError(str(error)) from None
        end = time.monotonic() + FREE_SECONDS
        while time.monotonic() < end and self._are_leaving(model, ready):
            time.sleep(POLL_SECONDS)

    def await_quiet(self, model: str, version: int) -> None:
        """Wait until a version that gets no new requests has answered the old ones.

        If the labels were asked for, 24.10 looks the version up again before it answers, and
        refuses if the version is being unloaded.
        """
        begin = changed = time.monotonic()
        count = self._answered(model, version)
        while (now := time.monotonic()) < min(changed + QUIET_SECONDS, begin + DRAIN_SECONDS):
            time.sleep(POLL_SECONDS)
            before, count = count, self._answered(model, version)
            if count != before:
                changed = now

    def test(self, model: str, version: int, title: str) -> None:
        """Self-test one version of a loaded model. Raises DeployError with what deviates."""
        report = Report(self.say)
        Check([self.http], model, str(version), report, title).run()
        if report.deviations:
            raise DeployError("; ".join(report.deviations))

    def _are_leaving(self, model: str, versions: set[int]) -> bool:
        states = self._states(model)
        return any(states.get(str(number), GONE) != GONE for number in versions)

    def _answered(self, model: str, version: int) -> int:
        """Count the requests that a version has answered."""
        try:
            (statistics,) = self.client.statistics(model, str(version), timeout=30.0)
        except TritonError as error:
            raise DeployError(f"the server does not answer: {error}") from None
        return sum(int(statistics["inference_stats"][end]["count"]) for end in ("success", "fail"))

    def _states(self, model: str) -> dict[str, str]:
        """Map a model's versions to what they are doing."""
        return {
            entry["version"]: entry.get("state", GONE)
            for entry in self._index()
            if entry["name"] == model and entry.get("version")
        }

    def _index(self) -> list[dict[str, str]]:
        """List all models. Raises DeployError if it may not ask."""
        try:
            return self.client.index(timeout=30.0)
        except TritonRefused as error:
            if error.status != FORBIDDEN:
                raise DeployError(
                    f"Triton cannot read the repository: {error}; mend or remove what it names"
                ) from None
            raise DeployError(
                "the server does not accept this admin key: set TRITON_ADMIN_KEY to the one it was"
                " started with, or EDGELENS_RUNTIME_DIR to its launcher's directory"
            ) from None
        except TritonError as error:
            raise DeployError(f"the server does not answer: {error}") from None
