"""A configuration to start from, and made-up figures."""

from inference.tuning.candidate import Candidate
from inference.tuning.load import Figures, Load

DEFAULT = Candidate("auto", instances=1, threads=0, batch=16, delay=0)
SAVEDMODEL = {"backend": "tensorflow", "dynamic_batching": {}}


def figures(speed: float, alone: float = 100.0) -> Figures:
    """Return the figures of `alone` answers a second for one client and `speed` for many."""
    if not speed:
        return {}
    return {1: Load(alone, 1000 / alone), 16: Load(speed, 16000 / speed)}
