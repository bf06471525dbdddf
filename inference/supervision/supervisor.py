"""Keeps Triton and its models inferring: starts, watches, reloads, restarts."""

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from gateway.model_names import ensemble_name
from inference.admin_client import AdminClient
from inference.deployment.errors import DeployError
from inference.deployment.model_files import ModelFiles
from inference.errors import (
    LaunchError,
    ProcessLost,
    TritonAway,
    TritonError,
    TritonRefused,
    TritonSilent,
)
from inference.repository import ready_models
from inference.settings import Settings
from inference.supervision.patients import Patients
from inference.supervision.state import Finding, State
from inference.supervision.watchdog import Watchdog
from inference.tritonserver.loadings import Loading, Loadings
from inference.tritonserver.processes import is_alive, reap_orphans
from inference.tritonserver.server import TritonServer
from inference.tritonserver.shm import bearable
from inference.tritonserver.stubs import ModelStubs

LOAD_SECONDS = 120.0
STARVED_SILENCES = 5
SECOND_CALL_SECONDS = 1.0  # a Triton that is merely loading answers at once
QUICK_END_SECONDS = 10.0
LONGEST_RESTART_PAUSE = 30.0
ABANDONED_SECONDS = 60.0  # in which other servers of the same repository unload a test version, too
GLANCE_SECONDS = 0.1

Answer = TypeVar("Answer")


class Supervisor:
    """Runs one Triton until a signal comes."""

    def __init__(
        self,
        settings: Settings,
        *,
        server: TritonServer,
        client: AdminClient,
        stubs: ModelStubs,
        state: State,
        say: Callable[[str], None],
    ) -> None:
        self._settings, self._server, self._client = settings, server, client
        self._stubs, self._state, self._say = stubs, state, say
        self._watchdog = Watchdog(client, stubs, settings.probe_timeout)
        self._expected: set[str] = set()
        self._served: dict[str, set[int]] = {}
        self._patients = Patients()
        self._loadings = Loadings(stubs)
        self._calls = ThreadPoolExecutor(thread_name_prefix="triton-call")
        self._quick_ends = 0
        self._silences = 0
        self._acted = False

    def start(self, models: list[str]) -> None:
        """Start Triton and wait until it answers. Raises LaunchError with Triton's reason."""
        self._expected = set(models)
        self._server.start(models)
        self._server.await_live(self._client, self._loadings)

    def run(self, when_ready: Callable[[list[Finding]], None]) -> None:
        """Watch for ever; calls `when_ready` once, with what infers when this server is ready."""
        announced = False
        while True:
            self._acted = False
            findings = self._round()
            if not announced and self._state.is_ready():
                when_ready([finding for finding in findings if not finding.problem])
                announced = True
            reap_orphans(self._server.pid)
            # Check at once what was just treated.
            self._pause(GLANCE_SECONDS if self._acted else self._settings.probe_period)

    def close(self) -> None:
        """Stop watching."""
        self._watchdog.close()
        self._calls.shutdown(wait=False, cancel_futures=True)

    def _pause(self, seconds: float) -> None:
        """Wait for the next round, or until one of the processes has ended."""
        watched = self._stubs.all_pids()
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._server.is_running():
            if not all(is_alive(pid) for pid in watched):
                return
            time.sleep(min(GLANCE_SECONDS, seconds))

    def _round(self) -> list[Finding]:
        """Look at every model once and treat what does not infer."""
        if fault := self._fault():
            self._restart(fault)
            return []
        self._server.close_segments()
        try:
            findings = self._while_it_runs(self._watchdog.look)
            loading = self._loading(self._settings.probe_timeout)
        except TritonSilent as exc:
            self._silent(exc)
            return []
        except TritonAway as exc:
            self._restart(f"Triton does not answer ({exc})")
            return []
        except TritonError as exc:
            self._state.trouble(f"Triton refuses the launcher: {exc}")
            return []
        self._silences = 0
        if self._restart_if_lost(loading):
            return []
        findings += self._missing(findings)
        ill = [finding for finding in findings if finding.problem]
        self._state.report(findings, self._given_up(ill))
        kept = {finding.model for finding in findings if finding.problem or finding.unproved}
        if well := self._patients.discharge(kept):
            self._say(f"{', '.join(well)} {'infers' if len(well) == 1 else 'infer'} again.")
        if not ill:
            self._tell_changes(findings)
        self._treat(ill)
        with contextlib.suppress(OSError):  # what is loaded infers without the repository's disk
            for files in ModelFiles.under_test(self._settings.repository):
                self._clear_away(files)
        return findings

    def _tell_changes(self, findings: list[Finding]) -> None:
        """Say what others have loaded or unloaded, such as a deployment."""
        served: dict[str, set[int]] = {}
        for finding in findings:
            served.setdefault(finding.model, set()).add(int(finding.version))
        before, self._served = self._served or served, served
        for model in sorted(before.keys() | served):
            if (versions := served.get(model)) != before.get(model):
                named = ", ".join(f"v{version}" for version in sorted(versions or ()))
                self._say(f"{model}: now loaded: {named or 'no version'}.")

    def _fault(self) -> str:
        """Say what is wrong with Triton as seen from outside, "" if nothing is."""
        if not self._server.is_running():
            return f"Triton {self._server.ending()}"
        if self._is_leaking():
            return "Triton's shared memory is full of what dead models left behind"
        return ""

    def _is_leaking(self) -> bool:
        """Measure what dead stubs have left; tell whether it is more than can stay."""
        leaked = self._server.leaked()
        self._state.metrics.leaked.set(leaked)
        return leaked > bearable()

    def _silent(self, exc: TritonSilent) -> None:
        """Restart a Triton that hangs; one that loads or waits for a processor gets more time."""
        if loading := self._loading_elsewhere():
            self._restart_if_lost(loading)
            return
        self._silences += 1
        if self._silences < STARVED_SILENCES and self._server.is_working():
            self._state.trouble(f"Triton is slow: {exc}.")
            self._acted = True
            return
        self._restart(f"Triton does not answer ({exc})")

    def _loading_elsewhere(self) -> list[tuple[str, str]]:
        """List what Triton is loading, asked once more after a call that it left unanswered.

        Over HTTP, Triton 24.10 runs a load to its end in one of its threads. Calls that this thread
        had accepted wait meanwhile, but a new call is accepted by another thread.
        """
        with contextlib.suppress(TritonError):
            return self._loading(SECOND_CALL_SECONDS)
        return []

    def _loading(self, timeout: float) -> list[tuple[str, str]]:
        """List what Triton is loading. Raises TritonError."""
        try:
            return self._while_it_runs(lambda: self._client.loading(timeout))
        except TritonRefused:  # it cannot read its repository, so it loads nothing from there
            return []

    def _restart_if_lost(self, loading: list[tuple[str, str]]) -> bool:
        """Restart a Triton that waits for a process that died during a load."""
        lost = self._loadings.lost(loading)
        if lost:
            self._restart(f"the process of {lost[0]} died while it was being loaded")
        return bool(lost)

    def _missing(self, findings: list[Finding]) -> list[Finding]:
        """Report the models under treatment that are not loaded; follow loads by others."""
        loaded = {finding.model for finding in findings}
        missing = {m for m in self._expected - loaded if m in self._patients}
        self._expected = loaded | missing
        return [Finding(model, "", "it could not be loaded again") for model in sorted(missing)]

    def _given_up(self, findings: list[Finding]) -> set[str]:
        """Name the models that nothing could heal, and the ensembles they are steps of."""
        given_up = {
            finding.model
            for finding in findings
            if not finding.version or self._patients.is_given_up(finding.model)
        }
        ensembles = {f.model for f in findings if self._watchdog.steps_of(f.model) & given_up}
        return given_up | ensembles

    def _treat(self, findings: list[Finding]) -> None:
        """Heal what is due; the steps of an ensemble before the ensemble."""
        ill = {finding.model for finding in findings}
        for finding in findings:
            patient = self._patients.admit(finding.model)
            if not patient.is_due or self._watchdog.steps_of(finding.model) & ill:
                continue
            # One that is not loaded harms nobody, unless loading it does.
            helpless = patient.is_given_up or not finding.version
            patient.attempt()
            self._acted = True
            if patient.needs_restart and not helpless:
                self._restart(f"{finding.model} still fails ({finding.problem})")
                return
            cached = self._settings.cache_bytes and self._watchdog.is_cached(finding.model)
            if cached and not helpless:
                # Triton 24.10 caches a failed answer as an empty one and repeats it from then on.
                self._restart(
                    f"{finding.model} failed ({finding.problem}), and the failure may be cached"
                )
                return
            try:
                patient.refused = not self._reload(finding)
            except (TritonAway, TritonSilent) as exc:
                without: frozenset[str] = frozenset()
                if helpless:
                    patient.harmed()
                    without = frozenset({finding.model})
                self._restart(f"{finding.model} could not be reloaded ({exc})", without)
                return

    def _clear_away(self, files: ModelFiles) -> None:
        """Undo what a deployment that was killed did to test a version, which holds memory."""
        # Its own deployment, which may be at work, holds the lock; what fails is tried again.
        with contextlib.suppress(DeployError, OSError, TritonError), files.locked():
            timeout = self._settings.probe_timeout
            index = self._while_it_runs(lambda: self._client.index(timeout))
            states = {entry.get("state", "") for entry in index if entry["name"] == files.candidate}
            if "READY" in states:
                self._say(f"A deployment of {files.model} was killed; unloading its test version.")
                self._while_it_runs(lambda: self._client.unload(files.candidate, LOAD_SECONDS))
            elif states <= {"", "UNAVAILABLE"} and files.candidate_age() > ABANDONED_SECONDS:
                files.remove_candidate()

    def _reload(self, finding: Finding) -> bool:
        """Reload a model; tells whether Triton could. Raises TritonAway or TritonSilent."""
        model = finding.model
        self._say(f"{model}: {finding.problem}; reloading it.")
        self._state.metrics.reloads.labels(model).inc()
        old = self._stubs.pids(model, finding.version)
        if finding.hung:
            self._stubs.kill(model)
        self._watchdog.forget(model)
        try:
            self._while_it_runs(lambda: self._client.unload(model, LOAD_SECONDS))
            self._load(model)
        except TritonRefused as exc:
            gone = not (self._settings.repository / model).is_dir()
            why = "its directory is gone; put it back, and it is served again" if gone else exc
            self._say(f"{model} could not be reloaded: {why}")
            return False
        finally:
            # Triton 24.10 never ends the others when one of a model's processes has died.
            self._stubs.kill(model, old)
        return True

    def _load(self, model: str) -> None:
        """Load a model. Raises TritonSilent once its process has died during that."""
        loading = Loading(self._stubs, model, alone=True)
        self._while_it_runs(lambda: self._client.load(model, LOAD_SECONDS), loading.is_lost)

    def _while_it_runs(
        self, call: Callable[[], Answer], is_lost: Callable[[], bool] = lambda: False
    ) -> Answer:
        """Return what a call to Triton returns; raise TritonAway once Triton has ended.

        The connection alone does not tell: the stubs inherit it and hold it open.
        """
        future: Future[Answer] = self._calls.submit(call)
        while not wait([future], GLANCE_SECONDS).done:
            if not self._server.is_running():
                raise TritonAway(f"it {self._server.ending()}")
            if is_lost():
                raise TritonSilent("its process died while it was being loaded")
        return future.result()

    def _restart(self, problem: str, without: frozenset[str] = frozenset()) -> None:
        """Kill Triton with all that belongs to it, and restart it on the same ports.

        The models that it starts `without` stay patients: they are loaded later, each alone.
        """
        self._acted = True
        self._say(f"{problem}; restarting Triton.")
        self._state.trouble(f"{problem}; Triton is being restarted.")
        self._state.metrics.restarts.inc()
        self._server.kill()
        self._watchdog.forget_all()
        self._silences = 0
        ready = set(ready_models(self._settings.repository))
        if self._expected and not ready:
            # Such as a disk that is not mounted: a Triton without models would look healthy.
            self._report(
                f"No model is left in {self._settings.repository}: put them back, and they are"
                " served again."
            )
            self._back_off()
            return
        models = sorted(self._expected & ready)
        # An ensemble returns with its model, whose directory may be put back.
        waiting = [m for m in self._expected - ready if self._has_patients(m)]
        for model in models + waiting:
            self._patients.admit(model)
        self._start_without(set(without), models)

    def _has_patients(self, ensemble: str) -> bool:
        return any(step in self._patients for step in self._watchdog.steps_of(ensemble))

    def _start_without(self, without: set[str], models: list[str]) -> None:
        """Start Triton with the models, except those left out and those that depend on them."""
        started = time.monotonic()
        without |= {ensemble_name(model) for model in without}
        while more := {m for m in models if self._watchdog.steps_of(m) & without} - without:
            without |= more
        self._loadings = Loadings(self._stubs)
        try:
            self._server.start([m for m in models if m not in without], tolerant=True)
            self._server.await_live(self._client, self._loadings)
            self._quick_ends = 0
        except LaunchError as exc:
            if isinstance(exc, ProcessLost) and exc.model not in without:
                self._say(f"{exc} Triton is started without it.")
                self._state.metrics.restarts.inc()
                self._start_without(without | {exc.model}, models)
                return
            self._report(str(exc))
            if time.monotonic() - started < QUICK_END_SECONDS:
                self._back_off()

    def _report(self, trouble: str) -> None:
        """Say why Triton does not run, on the terminal and to whoever asks."""
        self._state.trouble(trouble)
        self._say(trouble)

    def _back_off(self) -> None:
        """Wait, longer each time: Triton cannot start at all, and meanwhile the state says why."""
        self._server.kill()  # its models' processes may have outlived it
        self._quick_ends += 1
        # A whole number: a float would overflow after a night of this.
        time.sleep(min(2**self._quick_ends, LONGEST_RESTART_PAUSE))
