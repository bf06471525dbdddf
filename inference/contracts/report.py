"""The lines of a self-test."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from inference.contracts.errors import Deviation

Found = TypeVar("Found")


@dataclass
class Report:
    """Collects what was checked; every check is one line for `say`."""

    say: Callable[[str], None]
    deviations: list[str] = field(default_factory=list)

    def check(self, what: str, action: Callable[[], Found]) -> Found | None:
        """Make one check and report it; returns its result, None if a Deviation ended it."""
        try:
            found = action()
        except Deviation as deviation:
            self.deviations.append(f"{what}: {deviation}")
            self.say(f"  deviates  {what}: {deviation}")
            return None
        self.say(f"  ok        {what}")
        return found

    def note(self, text: str) -> None:
        """Say what was not checked, and why."""
        self.say(f"  -         {text}")
