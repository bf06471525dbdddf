"""Wires the launcher's parts together and takes them apart again."""

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

from inference.announcement import Announcement
from inference.backends_directory import assemble_backends
from inference.client import TritonClient
from inference.errors import LaunchError
from inference.health import HealthEndpoint
from inference.identity import Run
from inference.installation import find_installation
from inference.ports import choose_ports
from inference.processes import adopt_orphans, kill_children
from inference.repository import require_models
from inference.server import Place, TritonServer
from inference.settings import Settings
from inference.shm import sweep
from inference.signals import stopped_by_signals
from inference.state import Metrics, State
from inference.stubs import ModelStubs
from inference.supervisor import Supervisor
from inference.triton_log import TritonLog


def launch(settings: Settings) -> None:
    """Serve the repository until SIGTERM or SIGINT. Raises LaunchError."""
    models = require_models(settings.repository)
    installation = find_installation()
    adopt_orphans()
    with stopped_by_signals(), ExitStack() as stack:
        sweep()
        stack.callback(kill_children)
        run = Run.current()
        log = TritonLog(make_runtime_dir(settings.runtime_dir) / "triton.log")
        ports = choose_ports(settings)
        backends = assemble_backends(installation, run)
        stack.callback(shutil.rmtree, backends, ignore_errors=True)
        place = Place(run, installation, backends, ports)
        serve(settings, place, log, models, stack)


def serve(
    settings: Settings, place: Place, log: TritonLog, models: list[str], stack: ExitStack
) -> None:
    """Start everything and watch it; `stack` takes it apart in reverse order."""
    state = State(Metrics())
    endpoint = HealthEndpoint(settings, state)
    stack.callback(endpoint.close)
    client = TritonClient(settings.reachable_host, place.ports.http, settings.admin_key)
    metrics = TritonClient(settings.reachable_host, place.ports.metrics, settings.admin_key)
    server = TritonServer(settings, place, log)
    stubs = ModelStubs(place.run, settings.repository)
    supervisor = Supervisor(
        settings, server=server, client=client, stubs=stubs, state=state, say=say
    )
    stack.callback(supervisor.close)
    announcement = Announcement(settings, place.ports, endpoint.port, log.path, say)
    stack.callback(announcement.withdraw)
    stack.callback(server.stop)
    stack.callback(linger, settings, server)
    stack.callback(state.trouble, "Triton is stopping.")
    endpoint.start()
    announcement.publish_key()
    say(f"Starting Triton with {', '.join(models)}; its log is {log.path}.")
    supervisor.start(models)
    supervisor.run(lambda found: announcement.publish(client, metrics, found))


def linger(settings: Settings, server: TritonServer) -> None:
    """Go on inferring while no longer ready, until balancers have looked elsewhere.

    A stopping Triton answers that it knows no such model, which no balancer would repeat.
    """
    if server.is_running():
        time.sleep(settings.leave_seconds)


def make_runtime_dir(directory: Path) -> Path:
    """Make the directory for the log and the key. Raises LaunchError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise LaunchError(
            f"Cannot make {directory} ({exc.strerror}):"
            " set EDGELENS_RUNTIME_DIR to a directory of yours."
        ) from None
    return directory


def say(text: str) -> None:
    """Print one line for the user at once."""
    print(text, flush=True)
