"""Slow transfers are told from steady ones, an interval at a time."""

from gateway.transport.pace import SLOW_AFTER, SLOWEST, Pace

ENOUGH = int(SLOWEST * SLOW_AFTER)


def test_a_transfer_at_the_least_speed_is_steady() -> None:
    assert not Pace(100).is_slow(100 + SLOW_AFTER, ENOUGH)
    assert Pace(100).is_slow(100 + SLOW_AFTER, ENOUGH - 1)


def test_nothing_is_judged_before_a_whole_interval_is_over() -> None:
    pace = Pace(100)
    assert not pace.is_slow(100 + SLOW_AFTER - 1, 0)
    assert pace.is_slow(100 + SLOW_AFTER, 0)


def test_what_passed_in_an_earlier_interval_does_not_count() -> None:
    pace = Pace(100)
    assert not pace.is_slow(100 + SLOW_AFTER, 10 * ENOUGH)
    assert not pace.is_slow(100 + 2 * SLOW_AFTER, 11 * ENOUGH)
    assert pace.is_slow(100 + 3 * SLOW_AFTER, 11 * ENOUGH)
