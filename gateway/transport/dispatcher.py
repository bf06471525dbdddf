"""Waitress's threads, behind the admission: only admitted requests get a thread for pictures.

Each model has threads of its own, so that a fast one never waits behind a slow one. So has
everything else: health checks and refusals never wait behind inferences. A request whose client has
hung up leaves its queue.
"""

import math
import threading
from collections.abc import Collection

from waitress.task import ThreadedTaskDispatcher

from gateway.admission import Admissions
from gateway.errors import EdgeLensError, Overloaded, TritonUnavailable
from gateway.transport.channel import Channel
from gateway.transport.request import Request

LIGHT_THREADS = 4
NO_THREADS = (
    "no thread can be started: raise the limit of processes (`ulimit -u`, TasksMax= of a service,"
    " or the container's) or of memory (`ulimit -v`)"
)


class Dispatcher:
    """Queue requests for the threads; the interface is that of waitress's own dispatcher."""

    def __init__(self, admissions: Admissions, threads: int) -> None:
        self._admissions = admissions
        self._threads = threads
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}  # by model
        self._light = _Lane(LIGHT_THREADS)
        self._busy = 0
        self.draining_since = math.inf  # of the monotonic clock
        self.loop_thread = 0

    def add_task(self, channel: Channel) -> None:
        """Admit the channel's next request and queue it, or queue its refusal."""
        request: Request = channel.requests[0]
        channel.current = request
        if request.is_work:
            self._admit(channel, request)
        with self._lock:
            self._busy += 1
        # The loop itself must not wait until a client has read earlier answers.
        if request.refusal and self.is_loop() and not channel.total_outbufs_len:
            channel.refuse_now = True
        elif request.ticket:
            request.lane.put(channel)
        else:
            self._light.put(channel)

    def forget(self, channel: Channel) -> None:
        """Free the place of a client that hung up, if its request still waits."""
        request = channel.current
        if request and request.ticket and request.lane.drop(channel):
            self.finish(channel, request)

    def finish(self, channel: Channel, request: Request) -> None:
        """Free the place of a request that was answered, or that nobody waits for."""
        if request.ticket:
            request.ticket.leave()
        channel.done(request)
        with self._lock:
            self._busy -= 1

    def is_loop(self) -> bool:
        """Tell whether the caller is the loop, and not one of the threads."""
        return threading.get_ident() == self.loop_thread

    def idle(self) -> bool:
        """Tell whether every request that was queued has been answered."""
        with self._lock:
            return self._busy == 0

    def shutdown(self) -> None:
        """Let the threads end once they have answered their current requests."""
        with self._lock:
            for lane in (self._light, *self._lanes.values()):
                lane.set_thread_count(0)

    def keep(self, models: Collection[str]) -> None:
        """Forget the other models and let their threads end; those that are asked stay."""
        with self._lock:
            self._admissions.keep(models)
            for model in self._lanes.keys() - self._admissions.by_model().keys():
                self._lanes.pop(model).set_thread_count(0)

    def _lane(self, model: str) -> "_Lane":
        """Return a model's lane; raise NoThreads if its threads cannot be started."""
        if model not in self._lanes:
            self._lanes[model] = _Lane(self._threads)
        return self._lanes[model]

    def _admit(self, channel: Channel, request: Request) -> None:
        try:
            if request.began >= self.draining_since:
                raise TritonUnavailable("The gateway is shutting down; try again.")
            channel.server.require_kept(request)  # its last bytes may be those without room
            client = request.client or channel.server.identify(channel, request)
            # Checked this early because every thread may be waiting for a Triton that hangs.
            model = channel.server.model_of(request)
            with self._lock:  # the lane stays while there are tickets
                request.lane = self._lane(model)  # before it takes a place: there may be no threads
                request.ticket = self._admissions.of(model).enter(client)
        except EdgeLensError as error:
            if isinstance(error, NoThreads):
                channel.server.tell(NO_THREADS)
            request.refuse(error)
            channel.server.count_refusal(request, error)


class NoThreads(Overloaded):
    """A model that is asked for the first time gets no threads."""


class _Lane(ThreadedTaskDispatcher):  # type: ignore[misc]
    """A queue of channels with its threads, each of which calls a channel's `service`."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        try:
            self.set_thread_count(threads)
        except RuntimeError:
            self.set_thread_count(0)
            raise NoThreads("The gateway can start no more threads; try again shortly.") from None

    def put(self, channel: Channel) -> None:
        """Queue a channel. Waitress's own `add_task` logs a warning for every queue."""
        with self.lock:
            self.queue.append(channel)
            self.queue_cv.notify()

    def drop(self, channel: Channel) -> bool:
        """Take a channel out of the queue; tell whether it was there."""
        with self.lock:
            waits = channel in self.queue
            if waits:
                self.queue.remove(channel)
        return waits
