import pytest

from benchmarks.answers import Answer, read_answer
from benchmarks.load import NoAnswers, measured

WINDOW = (10.0, 20.0)


def batches(seconds: float, size: int) -> list[Answer]:
    """Return what `size` clients get from a server that answers them all at once."""
    return [
        Answer(client, number * seconds, (number + 1) * seconds, 200)
        for number in range(12)
        for client in range(size)
    ]


@pytest.mark.parametrize("seconds", [2.0, 2.3, 2.9])
def test_whole_batches_at_the_window_s_ends_do_not_distort_throughput(seconds: float) -> None:
    load = measured(batches(seconds, 16), WINDOW, 0, 0.0)
    assert load.throughput == pytest.approx(16 / seconds)
    assert load.p50_ms == pytest.approx(seconds * 1e3)


def test_errors_count_inside_the_window_and_are_no_answers() -> None:
    answers = batches(1.0, 1)
    answers += [Answer(0, 12.0, 12.5, 503), Answer(0, 1.0, 2.0, 500)]
    load = measured([*answers, Answer(0, 13, 14, 200)], WINDOW, 2, 0.0)
    assert load.errors == 3
    assert load.answers == 4


def test_a_server_that_only_refuses_is_an_error() -> None:
    with pytest.raises(NoAnswers, match="0 good answers and 1 errors"):
        measured([Answer(0, 12.0, 12.5, 503)], WINDOW, 0, 0.0)


def test_lines_of_the_generator_are_read() -> None:
    assert read_answer("3 1.5 2.25 200") == Answer(3, 1.5, 2.25, 200)
    assert read_answer("Running 5s test @ http://127.0.0.1") is None
