"""Chooses the ports, or says plainly which one is taken."""

import contextlib
import errno
import random
import socket
from dataclasses import dataclass

from gateway.address import bracketed
from inference.errors import LaunchError
from inference.settings import Settings

# Below the range that the kernel uses for outgoing connections: one of those could take a chosen
# port in the seconds before Triton has loaded its models and listens.
QUIET_PORTS = range(20000, 32768)


@dataclass(frozen=True)
class Ports:
    """The ports of Triton, and of the launcher's own endpoint."""

    http: int
    grpc: int
    metrics: int
    health: int


def choose_ports(settings: Settings) -> Ports:
    """Take the given ports if they are free, any free one for 0. Raises LaunchError."""
    held = []
    try:
        # All are held until the last is chosen, so that no port is given out twice.
        for name, port in settings.ports.items():
            held.append(take(settings.host, port, name) if port else take_any(settings.host, name))
        return Ports(*(part.getsockname()[1] for part in held))
    finally:
        for part in held:
            part.close()


def take_any(host: str, name: str) -> socket.socket:
    """Take any free port."""
    for port in random.sample(QUIET_PORTS, 50):
        with contextlib.suppress(LaunchError):
            return take(host, port, name)
    return take(host, 0, name)


def take(host: str, port: int, name: str) -> socket.socket:
    """Listen on a port; `name` is the variable to blame. Raises LaunchError."""
    try:
        return listen(host, port)
    except OSError as exc:
        if isinstance(exc, socket.gaierror) or exc.errno == errno.EADDRNOTAVAIL:
            raise LaunchError(
                f"TRITON_HOST {host!r} is not an address of this machine: give one, such as"
                " 127.0.0.1."
            ) from None
        raise LaunchError(
            f"Cannot listen on {bracketed(host)}:{port} ({exc.strerror}): stop what uses it,"
            f" or set {name} to another port (0 picks a free one)."
        ) from None


def listen(host: str, port: int) -> socket.socket:
    """Listen at an address. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # As Triton does: connections of an earlier run that are still closing do no harm.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # two sockets that only bind may share a port
    except OSError:
        listener.close()
        raise
    return listener
