"""The API keys that are valid, read from a file that may change at any time.

A key is 256 random bits, so nobody can guess it from one SHA-256; a slow hash would only let
anybody waste CPU time. Each line of the file is `name:sha256:<hex>[:<requests a second>]`.
"""

import hashlib
import hmac
import logging
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import KeysUnavailable, Unauthorized

logger = logging.getLogger(__name__)
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
LINE = re.compile(f"({NAME.pattern})" + r":sha256:([0-9a-f]{64})(?::(\d{1,6}(?:\.\d{1,6})?))?")
# Changes that follow each other faster may get the same time: a few milliseconds by kernels before
# 6.13, a second or two by some file systems.
TICK_NS = 2_000_000_000
UNUSABLE = "API keys cannot be checked: the server's key file cannot be used; its log says why."


class KeysError(Exception):
    """A problem with the key file that its operator can fix; one sentence."""


@dataclass(frozen=True)
class Key:
    """A key's owner, its hash, and its own rate in requests a second, if it has one."""

    name: str
    digest: str
    rate: float | None = None

    def as_line(self) -> str:
        """Return the key's line in the file."""
        # Not `:g`: it writes small and large numbers like 1e-05, which a line may not hold.
        rate = f":{self.rate:.6f}".rstrip("0").rstrip(".") if self.rate is not None else ""
        return f"{self.name}:sha256:{self.digest}{rate}"


def parse_keys(text: str) -> list[Key]:
    """Read the file's lines, `#` starting a comment; raise KeysError with the line's number."""
    keys = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = without_comment(raw)
        if not line:
            continue
        match = LINE.fullmatch(line)
        if not match:
            raise KeysError(f"line {number} is not name:sha256:<64 hex digits>[:<rate>]")
        keys.append(Key(match[1], match[2], float(match[3]) if match[3] else None))
    return keys


def without_comment(line: str) -> str:
    """Return what a line says."""
    return line.split("#", 1)[0].strip()


def read_text(path: Path) -> str:
    """Return what the file says. Raises KeysError, OSError."""
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise KeysError(f"{path} is not a file")
    try:
        return path.read_text("utf-8-sig")  # some editors write a byte order mark
    except FileNotFoundError:
        raise KeysError(f"there is no file {path}") from None
    except UnicodeDecodeError:
        raise KeysError(f"{path} is not UTF-8 text") from None


class KeyRing:
    """The keys that are valid now: the file is read again whenever it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] | None = None
        self._keys: list[Key] = []
        self._told = ""  # what was last logged about an unusable file
        try:
            self._reload()
        except (OSError, KeysError) as error:
            raise KeysError(self._what_is_wrong(error)) from None

    def check(self, presented: str) -> Key:
        """Return the key's entry; raise Unauthorized for one that is missing or unknown.

        Raises KeysUnavailable while the file cannot be read or parsed: then nobody may enter.
        """
        if not presented:
            raise Unauthorized("An API key is required: send it as `Authorization: Bearer <key>`.")
        digest = hash_key(presented)
        found = None
        for key in self._current():
            # Every entry is compared, so that the time does not reveal which one matched.
            if hmac.compare_digest(key.digest, digest):
                found = key
        if found is None:
            raise Unauthorized("This API key is unknown or was revoked.")
        return found

    def _current(self) -> list[Key]:
        with self._lock:
            try:
                self._reload()
            except (OSError, KeysError) as error:
                told = self._what_is_wrong(error)
                if told != self._told:  # once, not for every request
                    logger.error("no API key can be checked: %s", told)
                self._told = told
                raise KeysUnavailable(UNUSABLE) from None
            if self._told:
                self._told = ""
                logger.warning("API keys can be checked again")
            return self._keys

    def _what_is_wrong(self, error: OSError | KeysError) -> str:
        reason = error.strerror if isinstance(error, OSError) else error
        return f"API_KEYS_FILE {self._path}: {reason}"

    def _reload(self) -> None:
        status = self._path.stat()
        # Not the time that copying can keep, but the one that every change renews.
        stamp = (status.st_ctime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            self._keys = parse_keys(read_text(self._path))
            lately = time.time_ns() - status.st_ctime_ns < TICK_NS
            self._stamp = None if lately else stamp


def hash_key(key: str) -> str:
    """Return the hex digest that stands for a key in the file."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
