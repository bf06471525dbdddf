"""Where a server is, as people write it: `http://box:8000`, `box:8000`, `[::1]:8000`."""

from dataclasses import dataclass
from urllib.parse import urlsplit

LOCAL = ("localhost", "127.0.0.1", "::1")
PORTS = {"http": 80, "https": 443}


def reachable(host: str) -> str:
    """Name the address at which this machine reaches what listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


class AddressError(ValueError):
    """A text that is not an address; the message says what one looks like."""


@dataclass(frozen=True)
class Address:
    """An HTTP endpoint; `host` is without brackets, `path` is what comes before `/v2`."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address; without a scheme it is http. Raises AddressError."""
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            scheme, host, port = parts.scheme, parts.hostname, parts.port
        except ValueError:  # a port that is no number, a bracket that is not closed
            scheme, host, port = "", None, None
        if not host or scheme not in PORTS:
            raise AddressError(f"{text} is not an address; give one like http://127.0.0.1:8000")
        given = PORTS[scheme] if port is None else port
        return cls(scheme, host, given, parts.path.rstrip("/"))

    @property
    def is_local(self) -> bool:
        """Tell whether it is on this machine."""
        return self.host in LOCAL

    @property
    def netloc(self) -> str:
        """Spell host and port as both protocols take them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def next_port(self) -> str:
        """Spell where gRPC usually is: at the port after HTTP's."""
        return Address(self.scheme, self.host, self.port + 1).netloc
