"""The adaptive limit."""

import weakref

import pytest

from gateway.admission import (
    HIGHEST_LIMIT,
    IDLE_AFTER,
    LOWEST_LIMIT,
    Admission,
    Admissions,
    Ticket,
)
from gateway.config import Settings
from gateway.errors import EdgeLensError, Overloaded, TooManyRequests
from tests.gateway.clock import Clock


def build(clock: Clock, limit: float = 4) -> Admission:
    return Admission(deadline_seconds=10, first_limit=limit, clock=clock)


def answer(ticket: Ticket, outcome: str = "answered") -> None:
    ticket.outcome = outcome
    ticket.leave()


def test_no_more_are_admitted_than_the_limit(clock: Clock) -> None:
    admission = build(clock)
    tickets = [admission.enter("a") for _ in range(4)]
    with pytest.raises(Overloaded):
        admission.enter("a")
    tickets[0].leave()
    tickets[0].leave()
    admission.enter("a")
    with pytest.raises(Overloaded):
        admission.enter("a")


def test_every_picture_of_a_request_takes_a_place(clock: Clock) -> None:
    admission = build(clock)
    first = admission.enter("a")
    second = admission.enter("a")
    first.grow(3)
    with pytest.raises(Overloaded):
        second.grow(2)
    second.leave()
    first.leave()
    assert admission.in_flight == 0


def test_a_request_alone_may_be_larger_than_the_limit(clock: Clock) -> None:
    admission = build(clock)
    admission.enter("a").grow(32)
    assert admission.in_flight == 32
    with pytest.raises(Overloaded):
        admission.enter("a")


def test_two_large_requests_may_come_at_once_from_the_start() -> None:
    admission = Admission(deadline_seconds=10)
    for client in ("a", "b"):
        admission.enter(client).grow(Settings.max_pictures)
    assert admission.in_flight == 2 * Settings.max_pictures


def test_one_client_alone_may_take_everything_but_two_share(clock: Clock) -> None:
    admission = build(clock)
    greedy = [admission.enter("greedy") for _ in range(3)]
    admission.enter("modest")
    for ticket in greedy[:2]:
        with pytest.raises(TooManyRequests):
            admission.enter("greedy")
        ticket.leave()
    admission.enter("modest")
    admission.enter("greedy")
    with pytest.raises(TooManyRequests):
        admission.enter("greedy")


def test_a_client_that_finds_all_places_taken_gets_the_next_ones(clock: Clock) -> None:
    admission = build(clock)
    greedy = [admission.enter("greedy") for _ in range(4)]
    with pytest.raises(Overloaded):
        admission.enter("modest")
    greedy[0].leave()
    with pytest.raises(TooManyRequests):
        admission.enter("greedy")
    admission.enter("modest")


def test_each_client_may_have_one_request_under_way_however_many_there_are(clock: Clock) -> None:
    admission = build(clock)
    for number in range(8):
        admission.enter(f"passer-by {number}").leave()
    admission.enter("last")
    with pytest.raises(TooManyRequests):
        admission.enter("last")


def test_a_client_that_waits_for_long_keeps_its_share(clock: Clock) -> None:
    admission = build(clock)
    admission.enter("patient")
    clock.now += IDLE_AFTER + 1
    for _ in range(2):
        admission.enter("greedy")
    with pytest.raises(TooManyRequests):
        admission.enter("greedy")


@pytest.mark.parametrize(("held", "refusal"), [(3, Overloaded), (4, TooManyRequests)])
def test_while_all_places_are_taken_who_has_more_than_half_its_share_is_told_so(
    clock: Clock, held: int, refusal: type[EdgeLensError]
) -> None:
    admission = build(clock, limit=12)
    for _ in range(12 - held):
        admission.enter("first")
    for _ in range(held):  # its share is six
        admission.enter("second")
    with pytest.raises(refusal):
        admission.enter("second")
    with pytest.raises(Overloaded):
        admission.enter("third")


def test_the_limit_grows_while_answers_come_early(clock: Clock) -> None:
    admission = build(clock)
    for seconds, growth in ((0.1, 4), (2.0, 1)):
        before = admission.limit
        tickets = [admission.enter("a") for _ in range(int(before))]
        clock.now += seconds
        for ticket in tickets:
            answer(ticket)
        assert before + growth * 0.2 <= admission.limit <= before + growth


@pytest.mark.parametrize(("seconds", "growth"), [(0.6, 3), (2.4, 3 / 4)], ids=["far", "near"])
def test_an_answer_counts_for_each_of_its_pictures(
    clock: Clock, seconds: float, growth: float
) -> None:
    admission = build(clock)
    *others, ticket = [admission.enter("a") for _ in range(4)]
    for other in others:
        other.leave()
    ticket.grow(3)
    clock.now += seconds
    answer(ticket)
    assert admission.limit == 4 + growth
    assert admission.seconds_per_picture == pytest.approx(seconds / (3 + 3))


def test_what_comes_later_makes_no_picture_before_it_faster(clock: Clock) -> None:
    admission = build(clock, limit=64)
    burst = [admission.enter("a") for _ in range(16)]
    for ticket in burst:
        ticket.grow(2)
    for ticket in burst:
        clock.now += 2 * 0.1
        answer(ticket)
    assert admission.seconds_per_picture == pytest.approx(0.1)


def test_the_limit_grows_for_requests_of_many_pictures_too(clock: Clock) -> None:
    admission = build(clock, limit=64)
    first, second = admission.enter("a"), admission.enter("a")
    first.grow(32)
    second.grow(32)
    clock.now += 0.1
    answer(second)
    assert admission.limit == 64 + 32


def test_the_limit_rests_while_it_is_not_reached(clock: Clock) -> None:
    admission = build(clock, limit=100)
    for ticket in [admission.enter("a") for _ in range(79)]:
        answer(ticket)
    assert admission.limit == 100


def test_the_limit_shrinks_once_a_round_when_answers_come_late(clock: Clock) -> None:
    admission = build(clock, limit=100)
    tickets = [admission.enter("a") for _ in range(20)]
    clock.now += 6
    for ticket in tickets:
        answer(ticket)
    assert admission.limit == 80
    later = admission.enter("a")
    clock.now += 1
    answer(later, "late")
    assert admission.limit == 64


def test_the_limit_stays_within_its_bounds(clock: Clock) -> None:
    admission = build(clock, limit=5)
    for _ in range(20):
        ticket = admission.enter("a")
        clock.now += 9
        answer(ticket)
    assert admission.limit == LOWEST_LIMIT
    admission.limit, admission.seconds_per_picture = HIGHEST_LIMIT, 0
    tickets = [admission.enter("a") for _ in range(int(HIGHEST_LIMIT))]
    for ticket in tickets:
        answer(ticket)
    assert admission.limit == HIGHEST_LIMIT


def test_a_slow_model_leaves_fewer_places_from_the_start(clock: Clock) -> None:
    admission = build(clock, limit=64)
    admission.expect(0.5)
    assert admission.places() == pytest.approx(14)
    admission.expect(0.1)
    assert admission.seconds_per_picture == pytest.approx(0.3)
    admission.expect(0.4)
    assert admission.seconds_per_picture == pytest.approx(0.31)
    admission.enter("a")
    admission.expect(5)
    assert admission.seconds_per_picture == pytest.approx(0.31)


def test_a_few_answers_of_a_frozen_replica_close_no_door(clock: Clock) -> None:
    admission = build(clock, limit=64)
    admission.expect(0.02)
    stuck = [admission.enter("a") for _ in range(3)]
    clock.now += 9
    for ticket in stuck:
        answer(ticket)
    assert admission.places() > 40


def test_however_slow_the_model_a_few_are_admitted(clock: Clock) -> None:
    admission = build(clock, limit=64)
    admission.expect(9)
    assert admission.places() == LOWEST_LIMIT


def test_nothing_is_kept_of_a_request_that_was_answered(clock: Clock) -> None:
    admission = build(clock)
    ticket = admission.enter("a")
    kept = weakref.ref(ticket)
    answer(ticket)
    del ticket
    assert kept() is None


def test_failures_teach_nothing(clock: Clock) -> None:
    admission = build(clock)
    ticket = admission.enter("a")
    clock.now += 9
    ticket.leave()
    assert admission.limit == 4
    assert admission.seconds_per_picture == 0


def test_retry_after_is_the_time_what_is_waiting_will_take(clock: Clock) -> None:
    admission = build(clock)
    ticket = admission.enter("a")
    clock.now += 2
    answer(ticket)
    assert admission.seconds_per_picture == 2
    tickets = [admission.enter("a") for _ in range(4)]
    with pytest.raises(Overloaded) as overloaded:
        admission.enter("a")
    assert overloaded.value.retry_after == 8
    assert admission.retry_after() == 8
    tickets[0].leave()
    admission.enter("b")
    for ticket, seconds in zip(tickets[1:3], (8, 6), strict=True):
        with pytest.raises(TooManyRequests) as crowded:
            admission.enter("a")
        assert crowded.value.retry_after == seconds
        ticket.leave()


def test_clients_that_left_have_no_share_any_more(clock: Clock) -> None:
    admission, begin = build(clock, limit=10), clock.now
    for number in range(9):
        answer(admission.enter(f"passer-by {number}"))
    for _ in range(20):  # the steady client itself is never idle for long
        clock.now += IDLE_AFTER / 10
        first = admission.enter("steady")
        if clock.now < begin + IDLE_AFTER:
            with pytest.raises(TooManyRequests):
                admission.enter("steady")
        answer(first)
    assert [admission.enter("steady").client for _ in range(10)] == ["steady"] * 10


def test_while_no_model_was_asked_nothing_is_to_be_waited_for() -> None:
    assert Admissions(10).retry_after() == 0
