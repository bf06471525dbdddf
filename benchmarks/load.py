"""A load: one run of the generator, counted over a window that opens once the server is warm."""

import statistics
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import Answer, share
from benchmarks.generator import Generator

LONGEST_ANSWER = 30  # seconds to wait for answers to requests from before the window closed
LONGEST_WARMING = 40  # seconds

Window = tuple[float, float]


class NoAnswers(Exception):
    """A load got too few answers to be measured."""


@dataclass(frozen=True)
class Target:
    """Where to post which bodies."""

    url: str
    bodies: list[Path]
    headers: dict[str, str]


@dataclass(frozen=True)
class Load:
    """The figures of a load's window; latencies in milliseconds.

    `generator` is the share of one core that the load generator took.
    """

    throughput: float
    answers: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    errors: int
    generator: float


@dataclass(frozen=True)
class Plan:
    """How to load a server: warm up for some seconds and answers, then count for some seconds.

    `salt`, four characters, makes every body different, also from bodies with another salt.
    """

    clients: int = 16
    warm_seconds: float = 1.0
    warm_answers: int = 0
    seconds: float = 5.0
    salt: str = ""


def press(target: Target, plan: Plan) -> Load:
    """Let every client post one body after another; raise NoAnswers if too few are answered.

    No request is aborted between warming up and counting: what a slow server has begun still
    counts, and it spends no time on abandoned requests.
    """
    longest = LONGEST_WARMING + plan.seconds + LONGEST_ANSWER
    with closing(Generator(target.url, plan.clients, longest, LONGEST_ANSWER)) as generator:
        generator.start(target.bodies, target.headers, plan.salt)
        answers, window = _watch(generator, plan)
        used = generator.stop()
    # A client still waiting for an answer to a request from the window counts as an error too.
    silent = plan.clients - len(_served(answers, window[1]))
    return measured(answers, window, generator.lost + silent, used)


def measured(answers: list[Answer], window: Window, lost: int, generator: float) -> Load:
    """Sum up the answers of a window.

    An answer counts by the share of its time that lies in the window. Counting whole answers would
    be wrong by a whole batch at either end, which is a fifth of a slow server's answers.
    """
    good = [answer for answer in answers if answer.status == 200]
    inside = [answer for answer in good if window[0] <= answer.end <= window[1]]
    if len(inside) < 2:  # one answer takes longer than the window
        inside = [answer for answer in good if share(answer, window)]
    refused = sum(window[0] <= a.end <= window[1] for a in answers if a.status != 200)
    if len(inside) < 2:
        raise NoAnswers(f"{len(inside)} good answers and {refused + lost} errors")
    times = [(answer.end - answer.begin) * 1e3 for answer in inside]
    return Load(
        throughput=sum(share(answer, window) for answer in good) / (window[1] - window[0]),
        answers=len(inside),
        p50_ms=statistics.median(times),
        p99_ms=p99(times),
        longest_ms=max(times),
        errors=refused + lost,
        generator=generator,
    )


def p99(times: list[float]) -> float:
    """Return the time within which 99 of 100 are answered, never more than the longest."""
    return statistics.quantiles(times, n=100, method="inclusive")[98]


def _watch(generator: Generator, plan: Plan) -> tuple[list[Answer], Window]:
    """Collect answers until every client got one after the window; return answers and window."""
    began, opened = time.monotonic(), 0.0
    answers: list[Answer] = []
    for news in generator.answers():
        answers += news
        now = time.monotonic()
        warm = now - began >= plan.warm_seconds and len(answers) >= plan.warm_answers
        if not opened and (warm or now - began > LONGEST_WARMING):
            opened = now
        if opened and _is_over(answers, opened + plan.seconds, now, plan.clients):
            break
    if not opened:
        raise NoAnswers("the load generator ended by itself")
    return answers, (opened, opened + plan.seconds)


def _is_over(answers: list[Answer], closed: float, now: float, clients: int) -> bool:
    """Tell whether all requests from before the window closed are answered, or given up."""
    if now < closed:
        return False
    return len(_served(answers, closed)) == clients or now > closed + LONGEST_ANSWER


def _served(answers: list[Answer], closed: float) -> set[int]:
    """Return the clients that got an answer after the window."""
    return {answer.client for answer in answers if answer.end > closed}
