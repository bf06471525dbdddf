"""Where the parts listen and how they are reached, by their own settings."""

import errno
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import gateway.config
import inference.settings
from gateway import setting
from gateway.address import bracketed, reachable
from gateway.terminal import say
from inference.errors import LaunchError
from inference.tritonserver.ports import choose_ports, listen
from serving.errors import ServeError
from serving.stop import Stop

PATIENCE = 10.0  # seconds for which an earlier run may still hold a port


@dataclass(frozen=True)
class Places:
    """What the gateway and Triton's launcher will read from the same environment."""

    gateway: gateway.config.Settings
    triton: inference.settings.Settings
    elsewhere: str  # another Triton that the gateway is to ask, "" for the one that is started

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Places":
        """Read the settings of both. Raises SettingError."""
        return cls(
            gateway.config.Settings.from_env(env),
            inference.settings.Settings.from_env(env),
            setting.given(env, "TRITON_URL"),
        )

    @property
    def page(self) -> str:
        """Return the address of the upload page."""
        return f"http://{_spelled(self.gateway.host)}:{self.gateway.port}/"

    def await_free_ports(self, stop: Stop) -> None:
        """Wait until a killed earlier run frees its ports; raise ServeError if it does not."""
        end, told = time.monotonic() + PATIENCE, False
        while (taken := self._taken()) and time.monotonic() < end and not stop.is_set():
            if not told:
                say(f"Waiting for {', '.join(taken)} to become free.")
                told = True
            stop.wait(0.2)
        if stop.is_set():
            return
        if taken:
            raise ServeError(
                f"{', '.join(taken)} in use: stop what listens there, or set other ports "
                "(for Triton's, 0 picks free ones)"
            )
        self._require_different_ports()

    def require_page(self) -> None:
        """Raise ServeError if the gateway cannot listen, before anything is started."""
        host, port = self.gateway.host, self.gateway.port
        if not port:
            raise ServeError("PORT=0 would hide the page: give a port")
        try:
            with listen(host, port):
                pass
        except OSError as error:
            raise ServeError(
                f"the gateway cannot listen on {bracketed(host)}:{port} ({error.strerror}); "
                "choose another place with PORT or HOST"
            ) from None

    def chosen_ports(self) -> dict[str, str]:
        """Return Triton's ports as settings, free ones for those of 0. Raises ServeError.

        A launcher that is started again gets the same ones, because the gateway knows them.
        """
        try:
            ports = asdict(choose_ports(self.triton))
        except LaunchError as error:
            raise ServeError(str(error)) from None
        return {f"TRITON_{name.upper()}_PORT": str(port) for name, port in ports.items()}

    def triton_health(self, ports: Mapping[str, str]) -> str:
        """Return the address at which Triton's launcher answers."""
        return f"http://{_spelled(self.triton.host)}:{ports['TRITON_HEALTH_PORT']}/healthz"

    def triton_addresses(self, ports: Mapping[str, str]) -> dict[str, str]:
        """Return the settings by which the gateway finds Triton; those of the user win."""
        host = _spelled(self.triton.host)
        found = {
            "TRITON_URL": f"{host}:{ports['TRITON_GRPC_PORT']}",
            "TRITON_METRICS_URL": f"http://{host}:{ports['TRITON_METRICS_PORT']}/metrics",
        }
        return {n: address for n, address in found.items() if not setting.given(os.environ, n)}

    def _taken(self) -> list[str]:
        """Name the settings whose ports are in use, as NAME=port."""
        listeners = self._listeners().items()
        return [f"{name}={place[1]}" for name, place in listeners if _is_taken(*place)]

    def _require_different_ports(self) -> None:
        """Raise ServeError if two settings name one port, which nobody else uses."""
        with ExitStack() as held:
            for name, place in self._listeners().items():
                if _is_taken(*place, held):
                    raise ServeError(
                        f"{name}={place[1]} is the port of another setting too: give each its own "
                        "(for Triton's, 0 picks free ones)"
                    )

    def _listeners(self) -> dict[str, tuple[str, int]]:
        """Return the host and the port of each setting that names a port."""
        tritons = {name: (self.triton.host, port) for name, port in self.triton.ports.items()}
        return {"PORT": (self.gateway.host, self.gateway.port), **tritons}


def _spelled(host: str) -> str:
    """Spell a host for an address on this machine."""
    return bracketed(reachable(host))


def _is_taken(host: str, port: int, held: ExitStack | None = None) -> bool:
    """Tell whether a port is in use, else let `held` keep it; other problems show later."""
    try:
        listener = listen(host, port)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    if held:
        held.enter_context(listener)
    else:
        listener.close()
    return False
