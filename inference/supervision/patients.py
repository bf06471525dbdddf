"""Remembers which models are under treatment and when each is due again."""

import time
from dataclasses import dataclass

LONGEST_PAUSE = 60.0
PAUSE_AFTER_HARM = 600.0
RESTARTS_FOR_ONE = 2  # of everything for one model; then it is reloaded alone, and left out


@dataclass
class Patient:
    """A model that did not infer: how often it was reloaded, and whether Triton refused to."""

    attempts: int = 0
    due: float = 0.0
    refused: bool = False

    def attempt(self) -> None:
        """Note one attempt; from the second on, wait twice as long for the next."""
        self.attempts += 1
        # A whole number: a float would overflow after a day of this.
        pause = 0.0 if self.attempts == 1 else min(2**self.attempts, LONGEST_PAUSE)
        self.due = time.monotonic() + pause

    def harmed(self) -> None:
        """Note that the last attempt cost all models a restart: the next one has to wait."""
        self.due = time.monotonic() + PAUSE_AFTER_HARM

    @property
    def is_due(self) -> bool:
        """Tell whether the next attempt may begin."""
        return time.monotonic() >= self.due

    @property
    def needs_restart(self) -> bool:
        """Tell whether a reload went through and did not help: then Triton itself is ill."""
        return self.attempts == 2 and not self.refused

    @property
    def is_given_up(self) -> bool:
        """Tell whether all was done for the model that disturbs the others."""
        return self.attempts >= RESTARTS_FOR_ONE


class Patients:
    """The models under treatment, by name."""

    def __init__(self) -> None:
        self._patients: dict[str, Patient] = {}

    def __contains__(self, model: str) -> bool:
        return model in self._patients

    def admit(self, model: str) -> Patient:
        """Take a model in, or find it again."""
        return self._patients.setdefault(model, Patient())

    def is_given_up(self, model: str) -> bool:
        """Tell whether all was done for a model that disturbs the others."""
        return model in self._patients and self._patients[model].is_given_up

    def discharge(self, kept: set[str]) -> list[str]:
        """Let go of all but these: the others infer again; returns the others' names."""
        well = sorted(self._patients.keys() - kept)
        for model in well:
            del self._patients[model]
        return well
