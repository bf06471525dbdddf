"""API keys: `python -m gateway.keys add NAME | list | revoke NAME`.

A key is 256 random bits, so nobody can guess it from one SHA-256; a slow hash would only let
anybody waste CPU time. Each line of the file is `name:sha256:<hex>[:<requests a second>]`.
"""

import argparse
import contextlib
import fcntl
import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import Unauthorized

logger = logging.getLogger(__name__)
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
LINE = re.compile(r"([A-Za-z0-9_.-]{1,64}):sha256:([0-9a-f]{64})(?::(\d{1,6}(?:\.\d{1,6})?))?")


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
        line = _without_comment(raw)
        if not line:
            continue
        match = LINE.fullmatch(line)
        if not match:
            raise KeysError(f"line {number} is not name:sha256:<64 hex digits>[:<rate>]")
        keys.append(Key(match[1], match[2], float(match[3]) if match[3] else None))
    return keys


def _without_comment(line: str) -> str:
    return line.split("#", 1)[0].strip()


def _read(path: Path) -> str:
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
        except OSError as error:
            raise KeysError(f"API_KEYS_FILE {path} cannot be read: {error.strerror}") from None
        except KeysError as error:
            raise KeysError(f"API_KEYS_FILE {path}: {error}") from None

    def check(self, presented: str) -> Key:
        """Return the key's entry; raise Unauthorized for one that is missing or unknown."""
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
                # Fail closed: while the file cannot be read or parsed, nobody may enter.
                if str(error) != self._told:  # once, not for every request
                    logger.error("no API key is valid: %s", error)
                self._told = str(error)
                self._keys, self._stamp = [], None
            else:
                self._told = ""
            return self._keys

    def _reload(self) -> None:
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            self._keys = parse_keys(_read(self._path))
            self._stamp = stamp


def hash_key(key: str) -> str:
    """Return the hex digest that stands for a key in the file."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Add, list or revoke keys; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gateway.keys", description="Manage API keys.")
    default = os.environ.get("API_KEYS_FILE") or None
    parser.add_argument("--file", type=Path, default=default, help="default: $API_KEYS_FILE")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a key and show it once")
    add.add_argument("name")
    add.add_argument("--rate", type=float, help="requests a second")
    commands.add_parser("list", help="show the names")
    commands.add_parser("revoke", help="make a key invalid immediately").add_argument("name")
    arguments = parser.parse_args(argv)
    try:
        if arguments.file is None:
            raise KeysError("set API_KEYS_FILE or give --file")
        _run(arguments)
    except OSError as error:
        who = f"user {os.getuid()} cannot use {arguments.file}"
        print(f"edgelens: {who}: {error.strerror}", file=sys.stderr)
        return 1
    except KeysError as error:
        print(f"edgelens: {error}", file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    if arguments.command == "list":
        for key in parse_keys(_read(arguments.file)):
            print(key.name + (f" ({key.rate:g} requests a second)" if key.rate else ""))
    elif arguments.command == "add":
        print(add_key(arguments.file, arguments.name, arguments.rate))
    else:
        revoke_key(arguments.file, arguments.name)


def add_key(path: Path, name: str, rate: float | None = None) -> str:
    """Write a new key's hash into the file and return the key; raise KeysError."""
    if not NAME.fullmatch(name):
        raise KeysError("a name has 1 to 64 letters, digits, dots, dashes or underscores")
    if rate is not None:
        rate = round(rate, 6)
        if not 0 < rate < 1e6:
            raise KeysError("a rate is a number of requests a second above 0 and below 1000000")
    key = "el_" + secrets.token_urlsafe(32)

    def append(lines: list[str], names: set[str]) -> list[str]:
        if name in names:
            raise KeysError(f"there is already a key named {name}; revoke it first")
        return [*lines, Key(name, hash_key(key), rate).as_line()]

    _rewrite(path, append)
    return key


def revoke_key(path: Path, name: str) -> None:
    """Remove a key from the file; raise KeysError if it is not there."""

    def remove(lines: list[str], names: set[str]) -> list[str]:
        if name not in names:
            raise KeysError(f"there is no key named {name}")
        return [line for line in lines if _without_comment(line).partition(":")[0] != name]

    _rewrite(path, remove)


def _rewrite(path: Path, change: Callable[[list[str], set[str]], list[str]]) -> None:
    """Replace the file atomically with its changed lines; only its owner can read a new one.

    An existing file keeps its mode and owner, so that a gateway that could read it still can.
    """
    path = path.resolve()  # for a link, the file itself
    with _locked(path):
        before = path.stat() if path.exists() else None
        text = _read(path) if before else ""
        lines = change(text.splitlines(), {key.name for key in parse_keys(text)})
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in lines)
                file.flush()
                if before:
                    os.fchown(handle, before.st_uid, before.st_gid)
                    os.fchmod(handle, stat.S_IMODE(before.st_mode))
                os.fsync(handle)
            Path(scratch).replace(path)
        finally:
            Path(scratch).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
