"""Manages the file of API keys: `python -m gateway.keys add NAME | list | revoke NAME`."""

import argparse
import contextlib
import fcntl
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gateway import setting
from gateway.key_ring import NAME, Key, KeysError, hash_key, parse_keys, read_text, without_comment
from gateway.rate import spelled
from gateway.terminal import show


def main(argv: Sequence[str] | None = None) -> int:
    """Add, list or revoke keys; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m gateway.keys", description="Manage API keys.")
    default = setting.given(os.environ, "API_KEYS_FILE") or None
    file_help = "default: $API_KEYS_FILE"
    parser.add_argument(
        "--file", type=setting.argument(setting.path), default=default, help=file_help
    )
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
        for key in parse_keys(read_text(arguments.file)):
            print(key.name + (f" ({spelled(key.rate)})" if key.rate else ""))
    elif arguments.command == "add":
        made = add_key(arguments.file, arguments.name, arguments.rate)
        try:
            show(made)
        except OSError as error:  # nobody has seen it, and nobody can show it again
            revoke_key(arguments.file, arguments.name)
            raise KeysError(f"no key was added: it cannot be shown ({error.strerror})") from None
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
        return [line for line in lines if without_comment(line).partition(":")[0] != name]

    _rewrite(path, remove)


def _rewrite(path: Path, change: Callable[[list[str], set[str]], list[str]]) -> None:
    """Replace the file atomically with its changed lines; only its owner can read a new one.

    An existing file keeps its mode and owner, so that a gateway that could read it still can.
    """
    path = path.resolve()  # for a link, the file itself
    with _locked(path):
        before = path.stat() if path.exists() else None
        text = read_text(path) if before else ""
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
