"""One setting: how it is read from the environment or a command line; what is wrong with it."""

import argparse
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from gateway.address import AddressError, read_host

T = TypeVar("T")
LARGEST = 2**63 - 1  # as for Triton's versions; Python refuses to read thousands of digits
ON, OFF = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


class SettingError(ValueError):
    """An environment variable has a value that cannot be used; the text names it."""


def given(env: Mapping[str, str], variable: str) -> str:
    """Return what a variable says, without the spaces around it; "" if it is not set."""
    return env.get(variable, "").strip()


def read(env: Mapping[str, str], variable: str, reader: Callable[[str], T], default: str = "") -> T:
    """Read a setting; `reader` raises ValueError with what to give. Raises SettingError."""
    text = given(env, variable) or default
    try:
        return reader(text)
    except ValueError as error:
        raise SettingError(f"{variable}={text!r} cannot be used: {error}") from None


def argument(reader: Callable[[str], T]) -> Callable[[str], T]:
    """Let a command line tell its user what a reader wants: argparse drops a ValueError's text."""

    def read_argument(text: str) -> T:
        try:
            return reader(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} cannot be used: {error}") from None

    return read_argument


def whole(lowest: int, highest: int = LARGEST) -> Callable[[str], int]:
    """Read a whole number within limits."""

    def reader(text: str) -> int:
        if not re.fullmatch("[0-9]{1,19}", text) or not lowest <= int(text) <= highest:
            limits = f"of {lowest} or more" if highest == LARGEST else f"from {lowest} to {highest}"
            raise ValueError(f"give a whole number {limits}")
        return int(text)

    return reader


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """Read a number within limits."""

    def reader(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:
            raise ValueError(f"give a number from {lowest:g} to {highest:g}")
        return value

    return reader


def switch(text: str) -> bool:
    """Read whether something is on or off."""
    if text.lower() not in (*ON, *OFF):
        raise ValueError(f"give {', '.join(ON)} or {', '.join(OFF)}")
    return text.lower() in ON


def host(text: str) -> str:
    """Read an address to listen on."""
    try:
        return read_host(text)
    except AddressError:
        hint = "0.0.0.0 is all of IPv4, :: all of IPv6"
        raise ValueError(f"give an address of this machine; {hint}") from None


def path(text: str) -> Path:
    """Read a path and make it absolute; a relative one starts at the working directory."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # no such user, or nobody knows where this one is at home
        raise ValueError("give a full path; this home directory is unknown") from None
