"""Where a server is, as people write it: `http://box:8000`, `box:8000`, `[::1]:8000`."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

LOCAL = ("localhost", "127.0.0.1", "::1")
PORTS = {"http": 80, "https": 443}
NAME = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)


class AddressError(ValueError):
    """A text that is not an address; the message says what one looks like."""


def read_host(text: str) -> str:
    """Read an IP address, with or without IPv6's brackets, or a name. Raises AddressError."""
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not _is_host(host):
        raise AddressError(f"{text} is not an address; give one like 127.0.0.1")
    return host


def reachable(host: str) -> str:
    """Name the address at which this machine reaches what listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def bracketed(host: str) -> str:
    """Spell a host as it stands before a port: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


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
            host, port = parts.hostname or "", parts.port
        except ValueError:  # a port that is no number, a bracket that is not closed
            raise _no_address(text) from None
        # The standard library drops line breaks, a user's name, and some brackets around a name.
        spellings = (bracketed(host), f"{bracketed(host)}:{port}")
        is_plain = re.fullmatch("[!-~]+", text) and parts.netloc.lower() in spellings
        if not is_plain or not _is_host(host) or port == 0 or parts.scheme not in PORTS:
            raise _no_address(text)
        given = PORTS[parts.scheme] if port is None else port
        return cls(parts.scheme, host, given, parts.path.rstrip("/"))

    @property
    def is_local(self) -> bool:
        """Tell whether it is on this machine."""
        return self.host in LOCAL

    @property
    def netloc(self) -> str:
        """Spell host and port as both protocols take them."""
        return f"{bracketed(self.host)}:{self.port}"

    def next_port(self) -> str:
        """Spell where gRPC usually is: at the port after HTTP's."""
        return Address(self.scheme, self.host, self.port + 1).netloc


def _is_host(text: str) -> bool:
    """Tell whether a text is an IP address, or can be a machine's name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return NAME.fullmatch(text) is not None
    return True


def _no_address(text: str) -> AddressError:
    return AddressError(f"{text} is not an address; give one like http://127.0.0.1:8000")
