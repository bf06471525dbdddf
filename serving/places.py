"""Where the parts listen and how they are reached, as the environment says it."""

import errno
import json
import os
import socket
import time
from pathlib import Path

from inference.address import reachable
from serving.errors import ServeError
from serving.stop import Stop

TRITON_PORTS = {
    "TRITON_HTTP_PORT": "8000",
    "TRITON_GRPC_PORT": "8001",
    "TRITON_METRICS_PORT": "8002",
    "TRITON_HEALTH_PORT": "8003",
}
PATIENCE = 10.0  # seconds for which an earlier run may still hold a port


def gateway_place() -> tuple[str, str]:
    """Return the host and the port at which the gateway listens."""
    return os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "5000"


def page() -> str:
    """Return the address of the upload page."""
    host, port = gateway_place()
    return f"http://{_spelled(host)}:{port}/"


def await_free_ports(stop: Stop) -> None:
    """Let the parts of an earlier run, whose supervisor was killed, finish what they are at."""
    end, told = time.monotonic() + PATIENCE, False
    while (taken := _taken_ports()) and time.monotonic() < end and not stop.is_set():
        if not told:
            print(f"Waiting for an earlier run to leave port {', '.join(taken)}.", flush=True)
            told = True
        stop.wait(0.2)


def require_free_port() -> None:
    """Find a taken port before anything is started, and before a stranger there looks ready."""
    host, port = gateway_place()
    try:
        _listen(host, port)
    except OSError as error:
        raise ServeError(
            f"the gateway cannot listen on {host}:{port} ({error.strerror}); "
            "choose another place with PORT or HOST"
        ) from None


def ports_are_fixed() -> bool:
    """Tell whether Triton's ports are known before it runs; one of 0 means "any free one"."""
    return "0" not in _wanted_ports().values()


def triton_ports(ready_file: Path) -> dict[str, str]:
    """Return Triton's ports as settings: those asked for, or those the launcher chose.

    A launcher that is started again gets the same ones, for the gateway knows them.
    """
    if ports_are_fixed():
        return _wanted_ports()
    chosen = json.loads(ready_file.read_text())
    return {name: str(chosen[name.removeprefix("TRITON_").lower()]) for name in TRITON_PORTS}


def triton_health(ports: dict[str, str]) -> str:
    """Return the address at which Triton's launcher answers."""
    return f"http://{_spelled(_triton_host())}:{ports['TRITON_HEALTH_PORT']}/healthz"


def triton_addresses(ports: dict[str, str]) -> dict[str, str]:
    """Say where the gateway finds Triton, unless the user has said so."""
    host = _spelled(_triton_host())
    found = {
        "TRITON_URL": f"{host}:{ports['TRITON_GRPC_PORT']}",
        "TRITON_METRICS_URL": f"http://{host}:{ports['TRITON_METRICS_PORT']}/metrics",
    }
    return {name: os.environ.get(name) or address for name, address in found.items()}


def _triton_host() -> str:
    return os.environ.get("TRITON_HOST") or "127.0.0.1"


def _wanted_ports() -> dict[str, str]:
    return {name: os.environ.get(name) or default for name, default in TRITON_PORTS.items()}


def _spelled(host: str) -> str:
    """Spell a host as it stands in an address of this machine."""
    host = reachable(host)
    return f"[{host}]" if ":" in host else host


def _taken_ports() -> list[str]:
    places = [gateway_place(), *((_triton_host(), port) for port in _wanted_ports().values())]
    return [port for host, port in places if _is_taken(host, port)]


def _is_taken(host: str, port: str) -> bool:
    """Tell whether a port is in use; whoever needs it finds out what else is wrong with it."""
    try:
        _listen(host, port)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _listen(host: str, port: str) -> None:
    """Listen for a moment. Raises OSError."""
    places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, _, _, address = places[0]
    with socket.socket(family, kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
