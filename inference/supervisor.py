"""Keeps Triton and its models inferring: starts, watches, reloads, restarts."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from inference.client import TritonClient
from inference.errors import LaunchError, TritonAway, TritonError, TritonSilent
from inference.repository import ready_models
from inference.server import TritonServer
from inference.settings import Settings
from inference.state import Finding, State
from inference.stubs import ModelStubs
from inference.triton_log import TritonLog
from inference.watchdog import Watchdog

Say = Callable[[str], None]

LOAD_SECONDS = 120.0
LONGEST_PAUSE = 60.0
QUICK_END_SECONDS = 10.0


@dataclass
class _Patient:
    """A model under treatment."""

    attempts: int = 0
    next_attempt: float = 0.0

    def postpone(self) -> None:
        """Wait longer after each attempt that did not help."""
        self.attempts += 1
        pause = 0.0 if self.attempts < 2 else min(2.0**self.attempts, LONGEST_PAUSE)
        self.next_attempt = time.monotonic() + pause


class Supervisor:
    """Runs one Triton until a Stop is raised."""

    def __init__(
        self,
        settings: Settings,
        server: TritonServer,
        client: TritonClient,
        stubs: ModelStubs,
        state: State,
        log: TritonLog,
        say: Say,
    ) -> None:
        self._settings, self._server, self._client = settings, server, client
        self._stubs, self._state, self._log, self._say = stubs, state, log, say
        self._watchdog = Watchdog(client, stubs.has_stub, settings.probe_timeout)
        self._expected: set[str] = set()
        self._patients: dict[str, _Patient] = {}
        self._quick_ends = 0

    def start(self, models: list[str]) -> None:
        """Start Triton and wait until it answers. Raises LaunchError with Triton's reason."""
        self._expected = set(models)
        self._server.start(models)
        self._await_triton()

    def run(self, when_ready: Callable[[list[Finding]], None]) -> None:
        """Watch for ever; calls `when_ready` once, when every model has inferred."""
        announced = False
        while True:
            findings = self._round()
            if not announced and not self._state.problems():
                when_ready(findings)
                announced = True
            time.sleep(self._settings.probe_period if announced else 0.2)

    def close(self) -> None:
        """Stop watching."""
        self._watchdog.close()

    def _await_triton(self) -> None:
        deadline = time.monotonic() + self._settings.start_timeout
        while not self._client.is_live():
            if not self._server.is_running():
                raise LaunchError(f"Triton could not start: {self._log.reason()}")
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"Triton was not ready after {self._settings.start_timeout:g} s:"
                    f" see {self._log.path}, or allow more with TRITON_START_TIMEOUT."
                )
            time.sleep(0.05)

    def _round(self) -> list[Finding]:
        """Look at every model once and treat what does not infer."""
        if not self._server.is_running():
            self._restart(f"Triton {self._server.ending()}")
            return []
        try:
            findings = self._watchdog.look()
        except (TritonAway, TritonSilent) as exc:
            self._restart(f"Triton does not answer ({exc})")
            return []
        except TritonError as exc:
            self._state.trouble(f"Triton refuses the launcher: {exc}")
            return []
        findings += self._missing(findings)
        self._state.report(findings)
        self._note_recoveries(findings)
        self._treat([finding for finding in findings if finding.problem])
        return findings

    def _missing(self, findings: list[Finding]) -> list[Finding]:
        """Report the models under treatment that are not loaded; follow loads by others."""
        loaded = {finding.model for finding in findings}
        missing = (self._expected - loaded) & self._patients.keys()
        self._expected = loaded | missing
        return [Finding(model, "", "it could not be loaded again") for model in sorted(missing)]

    def _note_recoveries(self, findings: list[Finding]) -> None:
        ill = {finding.model for finding in findings if finding.problem}
        for model in sorted(self._patients.keys() - ill):
            del self._patients[model]
            if model in self._expected:
                self._say(f"{model} infers again.")

    def _treat(self, findings: list[Finding]) -> None:
        """Heal what is due; the steps of an ensemble before the ensemble."""
        ill = {finding.model for finding in findings}
        for model in sorted(ill):
            patient = self._patients.setdefault(model, _Patient())
            if time.monotonic() < patient.next_attempt or self._watchdog.steps_of(model) & ill:
                continue
            patient.postpone()
            hung = any(finding.hung for finding in findings if finding.model == model)
            problem = next(str(f.problem) for f in findings if f.model == model)
            if not self._reload(model, problem, hung, last_resort=patient.attempts == 2):
                return

    def _reload(self, model: str, problem: str, hung: bool, last_resort: bool) -> bool:
        """Load a model anew; restarts Triton and returns False where that does not help."""
        if last_resort:
            self._restart(f"{model} still fails ({problem})")
            return False
        self._say(f"{model}: {problem}; reloading it.")
        self._state.metrics.reloads.labels(model).inc()
        if hung:
            self._stubs.kill(model)
        self._watchdog.forget(model)
        try:
            self._client.unload(model, LOAD_SECONDS)
            self._client.load(model, LOAD_SECONDS)
        except (TritonAway, TritonSilent) as exc:
            self._restart(f"{model} could not be reloaded ({exc})")
            return False
        except TritonError as exc:
            self._say(f"{model} could not be reloaded: {exc}")
        return True

    def _restart(self, problem: str) -> None:
        """Kill Triton with all that belongs to it and start it anew on the same ports."""
        self._say(f"{problem}; restarting it.")
        self._state.trouble(f"{problem}; it is being restarted.")
        self._state.metrics.restarts.inc()
        self._server.kill()
        self._pause_between_restarts()
        self._watchdog.forget_all()
        models = sorted(self._expected & set(ready_models(self._settings.repository)))
        for model in models:
            self._patients.setdefault(model, _Patient())
        started = time.monotonic()
        self._server.start(models, tolerant=True)
        try:
            self._await_triton()
            self._quick_ends = 0
        except LaunchError as exc:
            self._state.trouble(str(exc))
            self._say(str(exc))
            self._quick_ends += time.monotonic() - started < QUICK_END_SECONDS

    def _pause_between_restarts(self) -> None:
        """Do not spin when Triton cannot start at all."""
        if self._quick_ends:
            time.sleep(min(2.0**self._quick_ends, LONGEST_PAUSE / 2))
