"""Admit no more pictures than each model can answer in time; the limits adapt by themselves."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Literal, NoReturn

from gateway.deadline import Deadline
from gateway.errors import Overloaded, TooManyRequests

TICKET = "edgelens.ticket"  # the key of a request's ticket in the WSGI environment
FIRST_LIMIT = 64.0  # until the time per picture is measured
LOWEST_LIMIT = 4.0
HIGHEST_LIMIT = 512.0
TARGET = 0.5  # of the deadline: admitted requests should be answered by then
FAR = 0.1  # of the deadline: answers this early let the limit grow fast
DECREASE = 0.8
SMOOTHING = 0.1
OUTLIER = 4.0  # times the usual, at most: the time of a frozen replica says nothing of the others
QUICK_SMOOTHING = 0.5  # for a faster probe: the one before met a cold model
FORESEEN = 0.7  # of the deadline: admit only what the measured speed can answer by then
IDLE_AFTER = 5.0  # seconds without a request after which a client loses its share


class Ticket:
    """One admitted request: its places, its client, its deadline, and what it waits for.

    `ahead` counts the pictures before it and its own.
    """

    def __init__(self, admission: "Admission", client: str, deadline: Deadline, ahead: int) -> None:
        self._admission = admission
        self.client = client
        self.deadline = deadline
        self.ahead = ahead
        self.weight = 1
        self.outcome: Literal["answered", "late"] | None = None  # nothing is learned without one
        self.left = False

    def grow(self, pictures: int) -> None:
        """Take one place per picture; raise Overloaded or TooManyRequests if too few are free."""
        self._admission.grow(self, pictures)

    def leave(self) -> None:
        """Free the place; further calls do nothing."""
        self._admission.leave(self)


class Admission:
    """Count the pictures that one model has under way against a limit.

    The limit grows by one per round while answers come well before the deadline, and doubles while
    they come very early. It shrinks by a fifth when they come later. In this way it adapts to the
    machine, the model and the load.
    """

    def __init__(
        self,
        deadline_seconds: float,
        first_limit: float = FIRST_LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deadline_seconds = deadline_seconds
        self.limit = first_limit
        self.in_flight = 0
        self.seconds_per_picture = 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._last_seen: dict[str, float] = {}
        self._last_purge = float("-inf")
        self._last_decrease = float("-inf")
        self._tickets: list[Ticket] = []  # of the requests under way, in the order they came

    def enter(self, client: str) -> Ticket:
        """Admit a request; raise TooManyRequests for a client over its share, else Overloaded."""
        with self._lock:
            # Noted even if it is refused: otherwise the others would go on taking every free place.
            self._last_seen[client] = self._clock()
            if self.in_flight + 1 > self._places():
                self._refuse(client)
            if self._held[client] + 1 > self._share():
                raise TooManyRequests("You have too many requests under way.", self._retry_after())
            self._take(client, 1)
            deadline = Deadline(self.deadline_seconds, self._clock())
            self._tickets.append(Ticket(self, client, deadline, self.in_flight))
            return self._tickets[-1]

    def grow(self, ticket: Ticket, pictures: int) -> None:
        """Take one place per picture; a request that is alone may exceed the limit."""
        with self._lock:
            others = self.in_flight - ticket.weight
            if others and others + pictures > self._places():
                self._refuse(ticket.client)
            more = pictures - ticket.weight
            self._take(ticket.client, more)
            for behind in self._tickets[self._tickets.index(ticket) :]:
                behind.ahead += more
            ticket.weight = pictures

    def leave(self, ticket: Ticket) -> None:
        """Free a request's places and learn from how long it took."""
        with self._lock:
            if ticket.left:
                return
            ticket.left = True
            self._tickets.remove(ticket)
            self.in_flight -= ticket.weight
            self._held[ticket.client] -= ticket.weight
            if self._held[ticket.client] <= 0:
                del self._held[ticket.client]
            if ticket.outcome is not None:
                self._learn(ticket, self._clock() - ticket.deadline.start)

    def places(self) -> float:
        """Return how many pictures may be under way now."""
        with self._lock:
            return self._places()

    def expect(self, seconds: float) -> None:
        """Learn the time per picture from a probe, while there is no traffic to measure."""
        with self._lock:
            if self.in_flight == 0:
                quicker = seconds < self.seconds_per_picture
                self._measure(seconds, QUICK_SMOOTHING if quicker else SMOOTHING)

    def retry_after(self) -> float:
        """Return the seconds until the pictures now under way will be answered."""
        with self._lock:
            return self._retry_after()

    def _places(self) -> float:
        """Return the limit, or fewer if the measured speed can answer only fewer in time."""
        if not self.seconds_per_picture:
            return self.limit
        foreseen = FORESEEN * self.deadline_seconds / self.seconds_per_picture
        return min(self.limit, max(LOWEST_LIMIT, foreseen))

    def _take(self, client: str, pictures: int) -> None:
        self.in_flight += pictures
        self._held[client] += pictures

    def _refuse(self, client: str) -> NoReturn:
        if self._held[client] > self._share() / 2 and self._crowd() > 1:
            raise TooManyRequests("You have too many requests under way.", self._retry_after())
        raise Overloaded("Too many pictures are waiting already.", self._retry_after())

    def _retry_after(self) -> float:
        return self.in_flight * self.seconds_per_picture

    def _share(self) -> float:
        """Return how many places one client may hold: all if it is alone, else an equal share."""
        return max(1.0, self._places() / self._crowd())

    def _crowd(self) -> int:
        """Count the clients that share the places; those that left are dropped twice a second."""
        now = self._clock()
        if now - self._last_purge > IDLE_AFTER / 10:
            self._last_seen = {
                client: seen
                for client, seen in self._last_seen.items()
                if now - seen <= IDLE_AFTER or client in self._held
            }
            self._last_purge = now
        return len(self._last_seen)

    def _measure(self, seconds: float, smoothing: float) -> None:
        known = self.seconds_per_picture
        change = min(seconds, OUTLIER * known) - known
        self.seconds_per_picture = known + smoothing * change if known else seconds

    def _learn(self, ticket: Ticket, seconds: float) -> None:
        self._measure(seconds / ticket.ahead, SMOOTHING)
        now = self._clock()
        if seconds > TARGET * self.deadline_seconds or ticket.outcome == "late":
            # One decrease per round: requests admitted before it say nothing about the new limit.
            if ticket.deadline.start >= self._last_decrease:
                self.limit = max(LOWEST_LIMIT, self.limit * DECREASE)
                self._last_decrease = now
        elif ticket.ahead >= self.limit * 0.8:
            far = seconds < FAR * self.deadline_seconds
            step = ticket.weight if far else ticket.weight / self.limit
            self.limit = min(HIGHEST_LIMIT, self.limit + step)


class Admissions:
    """An admission for each model, so that a flood on a slow one takes no places of the others."""

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        self._lock = threading.Lock()
        self._by_model: dict[str, Admission] = {}

    def of(self, model: str) -> Admission:
        """Return a model's admission."""
        with self._lock:
            if model not in self._by_model:
                self._by_model[model] = Admission(self._deadline_seconds)
            return self._by_model[model]

    def keep(self, models: Collection[str]) -> None:
        """Forget the other models, except those that have pictures under way."""
        with self._lock:
            known = self._by_model.items()
            self._by_model = {m: one for m, one in known if m in models or one.in_flight}

    def by_model(self) -> dict[str, Admission]:
        """Return the admission of every model that was asked and is remembered."""
        with self._lock:
            return dict(self._by_model)

    def retry_after(self) -> float:
        """Return the seconds until the pictures now under way will be answered by all models."""
        return max((one.retry_after() for one in self.by_model().values()), default=0.0)
