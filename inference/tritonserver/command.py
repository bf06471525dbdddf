"""The command that starts tritonserver: its arguments and its environment."""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from gateway.address import bracketed
from inference.admin_client import ADMIN_HEADER
from inference.settings import HOME, Settings
from inference.tritonserver.backends_directory import plain, python_based
from inference.tritonserver.identity import Run
from inference.tritonserver.installation import Installation
from inference.tritonserver.ports import Ports

CLOSED_APIS = "model-repository,shared-memory,logging,trace,statistics"
DRAIN_SECONDS = 6


@dataclass(frozen=True)
class Setup:
    """What stays the same over all starts of Triton in one run."""

    run: Run
    installation: Installation
    backends: Path
    ports: Ports

    @property
    def temporary(self) -> Path:
        """Name the directory of the temporary files of the models' processes."""
        return self.backends / ".tmp"


def server_command(settings: Settings, setup: Setup, models: list[str]) -> list[str]:
    """Put together Triton's command line."""
    restricted = f"{CLOSED_APIS}:{ADMIN_HEADER}={settings.admin_key}"
    http_host, grpc_host = _spelled(settings.host)
    command = [
        str(setup.installation.server),
        f"--model-repository={settings.repository}",
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in models),
        f"--backend-directory={setup.backends}",
        *_python_settings(setup),
        f"--http-address={http_host}",
        f"--http-port={setup.ports.http}",
        f"--http-restricted-api={restricted}",
        f"--grpc-address={grpc_host}",
        f"--grpc-port={setup.ports.grpc}",
        f"--grpc-restricted-protocol={restricted}",
        f"--metrics-address={http_host}",
        f"--metrics-port={setup.ports.metrics}",
        f"--exit-timeout-secs={DRAIN_SECONDS}",
    ]
    if not Path("/dev/nvidiactl").exists():
        command.append("--allow-gpu-metrics=false")
    if settings.cache_bytes:
        command.append(f"--cache-config=local,size={settings.cache_bytes}")
        command.append(f"--cache-directory={setup.installation.caches}")
    if settings.model_config_name:
        command.append(f"--model-config-name={settings.model_config_name}")
    return command


def _spelled(host: str) -> tuple[str, str]:
    """Spell an address to listen on for Triton's HTTP and for its gRPC: IPv6 is marked in both."""
    return (f"ipv6:{host}" if ":" in host else host), bracketed(host)


def _python_settings(setup: Setup) -> list[str]:
    """Give every Python-based backend this run's prefix for its shared memory."""
    return [
        f"--backend-config={backend},shm-region-prefix-name={setup.run.prefix}"
        for backend in python_based(setup.backends)
    ]


def _plain_cache(settings: Settings, setup: Setup) -> Path:
    with contextlib.suppress(OSError):  # without a cache, models are converted at each start
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
    return plain(settings.cache_dir, setup.backends / ".cache")


def environment(env: dict[str, str], settings: Settings, setup: Setup) -> dict[str, str]:
    """Make Triton's environment: this Python first, the wheel's libraries, no admin key."""
    env.pop("TRITON_ADMIN_KEY", None)
    libraries = [str(path) for path in setup.installation.libraries]
    libraries += [part for part in [env.get("LD_LIBRARY_PATH")] if part]
    programs = [str(Path(sys.executable).parent), env.get("PATH"), os.defpath]
    return env | {
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        # The stub finds its packages through the first `python3` on PATH. Triton starts it with
        # `bash`, and would wait for ever if that was not found.
        "PATH": os.pathsep.join(filter(None, programs)),
        "TMPDIR": str(setup.temporary),
        "EDGELENS_HOME": str(plain(HOME, setup.backends / ".home")),
        "EDGELENS_CACHE_DIR": str(_plain_cache(settings, setup)),
    }
