"""Wires the launcher's parts together and takes them apart again."""

import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from gateway.terminal import note, tell
from inference.admin_client import AdminClient
from inference.announcement import Announcement
from inference.cache_directory import drawback
from inference.errors import LaunchError
from inference.repository import require_models, unserved
from inference.runtime_directory import runtime_directory
from inference.settings import Settings
from inference.signals import stopped_by_signals
from inference.supervision.health import HealthEndpoint
from inference.supervision.state import State
from inference.supervision.supervisor import Supervisor
from inference.tritonserver.backends_directory import (
    assemble_backends,
    is_plain,
    plain,
    python_based,
)
from inference.tritonserver.command import Setup
from inference.tritonserver.identity import Run
from inference.tritonserver.installation import find_installation
from inference.tritonserver.log import TritonLog
from inference.tritonserver.ports import choose_ports
from inference.tritonserver.processes import adopt_orphans, kill_children
from inference.tritonserver.server import TritonServer
from inference.tritonserver.shm import remove_segments, shortage, sweep
from inference.tritonserver.stubs import ModelStubs

LEAST_FILES = 256  # Triton has 70 open before anybody asks, with three models and two cores


def launch(settings: Settings) -> None:
    """Serve the repository until SIGTERM or SIGINT. Raises LaunchError."""
    models = require_models(settings.repository)
    with stopped_by_signals(), prepared(settings) as (setup, log), ExitStack() as stack:
        serve(with_plain_path(settings, setup), setup, log, models, stack)


@contextmanager
def prepared(settings: Settings) -> Iterator[tuple[Setup, TritonLog]]:
    """Lend what a Triton needs, and leave no file or process behind. Raises LaunchError."""
    installation = find_installation()
    require_open_files()
    require_plain_temporary_directory()
    adopt_orphans()
    with ExitStack() as stack:
        sweep()
        run = Run.current()
        stack.callback(remove_segments, run)  # last: those killed just before may have made some
        stack.callback(kill_children)
        own = stack.enter_context(runtime_directory(settings.runtime_dir))
        log = TritonLog(own / "triton.log")
        ports = choose_ports(settings)
        backends = Path(tempfile.gettempdir(), f"{run.prefix}backends")
        stack.callback(shutil.rmtree, backends, ignore_errors=True)
        try:
            assemble_backends(installation, backends)
        except OSError as exc:
            raise LaunchError(
                f"Cannot write to {backends.parent} ({exc.strerror}): make room there,"
                " or set TMPDIR."
            ) from None
        yield Setup(run, installation, backends, ports), log


def require_open_files() -> None:
    """Raise the limit of open files; refuse one with which Triton answers nobody.

    Each connection takes one, and many shells allow only 1024 unless asked for more. Raises
    LaunchError.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= most < LEAST_FILES:  # -1: no limit
        raise LaunchError(
            f"A process may have only {most} files open here, but Triton needs {LEAST_FILES}:"
            " raise that limit (`ulimit -n 1024`, or LimitNOFILE= of a service)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def require_plain_temporary_directory() -> None:
    """Refuse a place for the stubs in which none would start. Raises LaunchError."""
    try:
        place = Path(tempfile.gettempdir())
    except OSError as exc:  # above all a full disk
        raise LaunchError(f"{exc.strerror}: make room there, or set TMPDIR.") from None
    if not is_plain(place):
        raise LaunchError(
            f"Triton cannot start models from {place}: set TMPDIR to a directory without blanks,"
            " umlauts and the like in its path, such as /tmp."
        )
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        raise LaunchError(
            f"Triton cannot start models from {place}, whose file system is mounted noexec: set"
            " TMPDIR to a directory on another one."
        )


def serve(
    settings: Settings, setup: Setup, log: TritonLog, models: list[str], stack: ExitStack
) -> None:
    """Start everything and watch it; `stack` takes it apart in reverse order."""
    state = State()
    endpoint = HealthEndpoint(settings.host, setup.ports.health, state)
    stack.callback(endpoint.close)
    client = AdminClient(settings.reachable_host, setup.ports.http, settings.admin_key)
    server = TritonServer(settings, setup, log)
    stubs = ModelStubs(setup.run, settings.repository, python_based(setup.backends))
    supervisor = Supervisor(
        settings, server=server, client=client, stubs=stubs, state=state, say=note
    )
    stack.callback(supervisor.close)
    announcement = Announcement(settings, setup.ports, log.path, tell)
    stack.callback(announcement.withdraw)
    stack.callback(server.stop)
    stack.callback(linger, settings, server)
    stack.callback(state.trouble, "Triton is stopping.")
    endpoint.start()
    announcement.publish_key()
    named = ", ".join(described(settings, model) for model in models)
    tell(f"Starting Triton with {named}; its log is {log.path}.")
    for reason in unserved(settings.repository):
        tell(f"Not served: {reason}")
    for cost in filter(None, (drawback(settings.cache_dir), shortage(settings.cache_bytes > 0))):
        tell(cost)
    supervisor.start(models)
    supervisor.run(lambda found: announcement.publish(client, found))


def with_plain_path(settings: Settings, setup: Setup) -> Settings:
    """Name the repository by a path that stubs can use: without spaces, and in ASCII."""
    return replace(settings, repository=plain(settings.repository, setup.backends / ".repository"))


def described(settings: Settings, model: str) -> str:
    """Name a model and, where Triton does not read its config.pbtxt, what it reads."""
    custom = Path("configs", f"{settings.model_config_name}.pbtxt")
    return f"{model} ({custom})" if (settings.repository / model / custom).is_file() else model


def linger(settings: Settings, server: TritonServer) -> None:
    """Keep inferring while no longer ready, until balancers have turned to other replicas.

    A stopping Triton answers that it knows no such model, which no balancer would retry.
    """
    if server.is_running():
        time.sleep(settings.leave_seconds)
