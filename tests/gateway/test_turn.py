import pytest

from gateway.deadline import Deadline
from gateway.errors import Overloaded
from gateway.turn import LARGE, turn
from tests.gateway.stub import Start


def test_large_bodies_are_parsed_one_after_another_and_small_ones_at_any_time() -> None:
    with turn(LARGE + 1, Deadline(10)):
        with turn(LARGE, Deadline(10)):
            pass
        with pytest.raises(Overloaded), turn(None, Deadline(0)):
            pass
    with turn(None, Deadline(10)):
        pass


def test_a_large_request_is_parsed_in_its_turn(start: Start) -> None:
    gateway = start(deadline_seconds=0.2)
    with turn(None, Deadline(10)):
        answer = gateway.classify(bytes(LARGE + 1))
    assert answer.status_code == 503
    assert "large requests" in answer.get_json()["error"]["message"]
