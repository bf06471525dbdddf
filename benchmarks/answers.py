"""What the load generator reports about one answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The client, and when it asked and was answered, in seconds of the monotonic clock."""

    client: int
    begin: float
    end: float
    status: int


def read_answer(line: str) -> Answer | None:
    """Parse a line of the load generator's output; return None if it is not an answer."""
    parts = line.split()
    if len(parts) != 4 or not parts[0].isdigit():
        return None
    return Answer(int(parts[0]), float(parts[1]), float(parts[2]), int(parts[3]))


def share(answer: Answer, window: tuple[float, float]) -> float:
    """Return the share of an answer's time that lies in a window, 0 to 1."""
    inside = min(answer.end, window[1]) - max(answer.begin, window[0])
    return max(0.0, inside) / max(answer.end - answer.begin, 1e-9)
