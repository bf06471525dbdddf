"""A separate Triton, on which candidates are measured beside the default."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf import text_format

from inference.admin_client import AdminClient
from inference.deployment.memory import available_memory, needed_for
from inference.errors import LaunchError, TritonError
from inference.launcher import prepared
from inference.settings import Settings
from inference.supervision.probe import Probe
from inference.tritonserver.identity import Run
from inference.tritonserver.loadings import Loadings
from inference.tritonserver.server import TritonServer
from inference.tritonserver.stubs import ModelStubs
from inference.tuning.axes import Axis, axes
from inference.tuning.candidate import Candidate
from inference.tuning.load import Figures, Load, press
from inference.tuning.tuned import Tuned

CLIENTS = (1, 4, 16)
LOAD_SECONDS = 900.0  # the first load converts the model
ANSWER_SECONDS = 60.0
END_SECONDS = 5.0  # an idle process ends at once; Triton waits for ever for one that hangs


class Bench:
    """Holds the default and beside it one candidate at a time, in a repository of links."""

    def __init__(self, client: AdminClient, stubs: ModelStubs, models: Path, tuned: Tuned) -> None:
        """Load the default. Raises TritonError, and LaunchError if it cannot be measured."""
        self._client, self._stubs, self._models, self._tuned = client, stubs, models, tuned
        self._name, self._slot = tuned.model.name, f"{tuned.model.name}_candidate"
        self._held: Candidate | None = None
        self._load(self._name)
        self._config = client.config(self._name, "")
        self.default = Candidate.from_config(self._config)
        probe = Probe.for_model(self._config, lambda _: {})
        if probe is None:
            raise LaunchError(f"{self._name} takes more than plain tensors, so it cannot be tuned.")
        self._body, self._head = probe.body(0)
        self._warm_up(self._name, self.default)

    def axes(self, cpus: int) -> list[Axis]:
        """List what to try: as many instances as fit into the memory that the default leaves."""
        loaded = self._client.loaded(ANSWER_SECONDS)
        numbers = sorted(int(version) for model, version in loaded if model == self._name)
        versions = [self._tuned.model / str(number) for number in numbers]
        most = available_memory() // sum(needed_for(version) for version in versions)
        return axes(self._config, versions[-1], cpus, max(1, most))

    def measure(self, candidate: Candidate, seconds: float) -> Figures:
        """Measure a candidate with each number of clients; empty if it cannot be served."""
        model = self._name if candidate == self.default else self._slot
        try:
            if candidate not in (self.default, self._held):
                self._exchange(candidate)
            return {n: self._press(model, n, seconds / len(CLIENTS)) for n in CLIENTS}
        except TritonError:
            if candidate == self.default:
                raise
            return {}

    def _press(self, model: str, clients: int, seconds: float) -> Load:
        def infer() -> None:
            self._client.infer(model, "", self._body, self._head, ANSWER_SECONDS)

        return press(infer, clients, seconds)

    def _exchange(self, candidate: Candidate) -> None:
        """Load a candidate in place of the one before."""
        if self._held:
            self._held = None
            self._client.unload(self._slot, LOAD_SECONDS)
            self._await_end()
        self._load(self._slot, candidate)
        self._held = candidate
        self._warm_up(self._slot, candidate)

    def _warm_up(self, model: str, candidate: Candidate) -> None:
        """Have the instances infer, because the first time takes longer.

        Where Triton gathers requests, some may get none.
        """
        self._press(model, candidate.instances, 0)

    def _await_end(self) -> None:
        """Wait for the old candidate's processes: they would slow the next one down."""
        end = time.monotonic() + END_SECONDS
        while self._stubs.pids(self._slot):
            if time.monotonic() > end:
                self._stubs.kill(self._slot)
            time.sleep(0.02)

    def _load(self, name: str, candidate: Candidate | None = None) -> None:
        """Load what config.pbtxt says under a name, with a candidate's values if there is one."""
        config = self._tuned.default()
        config.name = name
        if candidate:
            candidate.apply(config, self.default)
        directory = self._models / name
        directory.mkdir(parents=True, exist_ok=True)
        for entry in self._tuned.model.iterdir():
            link = directory / entry.name
            if entry.name not in ("config.pbtxt", "configs") and not link.is_symlink():
                link.symlink_to(entry)
        (directory / "config.pbtxt").write_text(text_format.MessageToString(config))
        self._client.load(name, LOAD_SECONDS)


@contextmanager
def open_bench(settings: Settings, tuned: Tuned) -> Iterator[Bench]:
    """Run a Triton apart from the one that serves, and leave nothing of it. Raises LaunchError."""
    # The run's name lets a later start remove what a killed one has left.
    with TemporaryDirectory(prefix=Run.current().prefix) as name:
        models = Path(name, "models")
        models.mkdir()
        apart = replace(
            settings,
            repository=models,
            runtime_dir=Path(name),
            host="127.0.0.1",
            http_port=0,
            grpc_port=0,
            metrics_port=0,
            health_port=0,
            cache_bytes=0,
            model_config_name="",
        )
        with prepared(apart) as (setup, log):
            server = TritonServer(apart, setup, log)
            client = AdminClient(apart.host, setup.ports.http, apart.admin_key)
            try:
                server.start([])
                stubs = ModelStubs(setup.run, models)
                server.await_live(client, Loadings(stubs))
                yield Bench(client, stubs, models, tuned)
            except TritonError as error:  # the links that it names are about to go
                told = str(error).replace(f"{models}/", f"{settings.repository}/")
                raise TritonError(told) from error
            finally:
                server.kill()  # nobody needs an orderly end of what was only measured
