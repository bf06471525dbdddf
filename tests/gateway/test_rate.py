"""The rate of each client."""

import pytest

from gateway.errors import TooManyRequests
from gateway.rate import MOST_CLIENTS, RateLimiter
from tests.gateway.clock import Clock


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    clock = Clock()
    limiter = RateLimiter(2, clock)
    for _ in range(4):
        limiter.spend("a")
    with pytest.raises(TooManyRequests) as caught:
        limiter.spend("a")
    assert caught.value.retry_after == pytest.approx(0.5)
    clock.now += 0.25
    with pytest.raises(TooManyRequests) as caught:
        limiter.spend("a")
    assert caught.value.retry_after == pytest.approx(0.25)
    clock.now += 0.25
    limiter.spend("a")
    with pytest.raises(TooManyRequests):
        limiter.spend("a")


@pytest.mark.parametrize(
    ("rate", "told"), [(1, "1 request"), (0.5, "0.5 requests"), (20, "20 requests")]
)
def test_the_rate_is_told_in_good_english(rate: float, told: str) -> None:
    limiter = RateLimiter(rate, Clock())
    with pytest.raises(TooManyRequests, match=f"^At most {told} a second.$"):
        for _ in range(100):
            limiter.spend("a")


def test_clients_do_not_share_a_bucket() -> None:
    limiter = RateLimiter(0.5, Clock())
    limiter.spend("a")
    limiter.spend("b")
    with pytest.raises(TooManyRequests):
        limiter.spend("a")


def test_no_rate_allows_everything_unless_the_client_has_its_own() -> None:
    limiter = RateLimiter(0, Clock())
    for _ in range(100):
        limiter.spend("a")
    limiter.spend("b", 0.5)
    with pytest.raises(TooManyRequests):
        limiter.spend("b", 0.5)


def test_a_rate_below_one_admits_one_at_a_time() -> None:
    clock = Clock()
    limiter = RateLimiter(0.2, clock)
    for _ in range(2):
        limiter.spend("a")
        with pytest.raises(TooManyRequests):
            limiter.spend("a")
        clock.now += 5


def test_an_idle_client_saves_up_no_more_than_a_burst() -> None:
    clock = Clock()
    limiter = RateLimiter(2, clock)
    limiter.spend("a")
    clock.now += 3600
    for _ in range(4):
        limiter.spend("a")
    with pytest.raises(TooManyRequests):
        limiter.spend("a")


def test_the_number_of_buckets_is_bounded_and_the_newcomer_has_one() -> None:
    limiter = RateLimiter(0.5, Clock())
    for number in range(MOST_CLIENTS + 50):
        limiter.spend(str(number))
    assert len(limiter._buckets) == MOST_CLIENTS
    with pytest.raises(TooManyRequests):
        limiter.spend(str(number))
