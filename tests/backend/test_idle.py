"""Memory is given back when large batches have stopped coming."""

import threading

from inference.backends.tensorflow.idle import Idle


def test_a_pause_after_a_large_batch_is_noticed():
    acted = threading.Event()
    idle = Idle(acted.set, seconds=0.01)
    with idle.busy(large=True):
        pass
    assert acted.wait(10)


def test_small_batches_do_not_matter():
    acted = threading.Event()
    idle = Idle(acted.set, seconds=0.01)
    for _ in range(5):
        with idle.busy(large=False):
            pass
    assert not acted.wait(0.2)


def test_nothing_is_given_back_while_something_runs():
    acted = threading.Event()
    idle = Idle(acted.set, seconds=0.01)
    with idle.busy(large=True):
        assert not acted.wait(0.2)
    assert acted.wait(10)
