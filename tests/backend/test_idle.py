"""Memory is given back when large batches have stopped coming."""

import subprocess
import sys
import threading

import pytest

from inference.backends.tensorflow.idle import Idle
from tests.places import HOME


def test_a_pause_after_a_large_batch_is_noticed():
    acted = threading.Event()
    idle = Idle(acted.set, seconds=0.01)
    with idle.busy(large=True):
        pass
    assert acted.wait(10)


@pytest.mark.parametrize(
    ("large", "seconds"), [(False, 0.01), (True, 60)], ids=["no large batch", "no pause"]
)
def test_nothing_is_given_back_before_a_pause_after_a_large_batch(large, seconds):
    acted = threading.Event()
    idle = Idle(acted.set, seconds)
    for _ in range(5):
        with idle.busy(large):
            pass
    assert not acted.wait(0.2)


def test_a_batch_that_lasts_longer_than_the_pause_is_no_pause():
    acted = threading.Event()
    idle = Idle(acted.set, seconds=0.5)
    for _ in range(2):
        with idle.busy(large=True):
            assert not acted.wait(0.7)
    assert acted.wait(10)


SLOW = """
import threading, time
from inference.backends.tensorflow.idle import Idle

began = threading.Event()

def action():
    began.set()
    time.sleep(0.5)
    print("done")

with Idle(action, seconds=0.01).busy(large=True):
    pass
began.wait()
"""


def test_the_end_of_the_process_waits_for_the_action():
    """The engine's own code, cut off there, aborts the process."""
    ended = subprocess.run(
        [sys.executable, "-c", SLOW], cwd=HOME, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "done\n"
