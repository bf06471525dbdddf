"""What a flood's report says of its answers."""

from benchmarks.flood import Flood
from benchmarks.overload import judged


class Answered(Flood):
    """A flood of two requests, which were answered after one second and after two."""

    async def run(self, *_: object) -> None:
        self.statuses["200"] = 2
        self.latencies = [1.0, 2.0]


class Server:
    def memory(self) -> int:
        return 0


def test_no_answer_is_said_to_take_longer_than_the_longest() -> None:
    assert 1.0 <= judged(Server(), Answered("", 1.0), 1)["admitted_p99_seconds"] <= 2.0
