"""Whether real inferences succeed. Traffic is no proof: Triton's cache may have answered it.

While they fail, requests are refused at once instead of waiting for their deadlines. One slow
answer is not enough for that: a probe must have failed, and no client may have been answered since
it began. The next probe that succeeds, or the next answer, ends it. Behind a balancer a probe may
hit the one replica that is frozen while the others serve clients.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gateway.background import Background
from gateway.catalog import Catalog
from gateway.deadline import Deadline
from gateway.errors import (
    DeadlineExceeded,
    EdgeLensError,
    InferenceFailed,
    Overloaded,
    TritonUnavailable,
    TritonUnreachable,
)
from gateway.image import to_tensor
from gateway.model import Model
from gateway.triton import Answer, InferenceClient, Tensor

logger = logging.getLogger(__name__)
PROBE_SECONDS = 2.0  # between two probes
RETRY_SECONDS = 0.5  # between two probes while they fail
SHORTEST_TIMEOUT = 5.0  # of a probe; longer where answers may take longer
PROBE_SHARE = 1 / 3  # of the deadline: a lone picture should be answered by then
FRESH_BEYOND_TIMEOUT = 3.0  # one success counts until the next probe has had its time
PATIENCE = 30.0  # seconds until a start without a success is logged


class Readiness:
    """Remember the last success and failure of an inference by the default model."""

    def __init__(
        self,
        catalog: Catalog,
        triton: InferenceClient,
        clock: Callable[[], float] = time.monotonic,
        measured: Callable[[str, float], None] = lambda *_: None,
        deadline_seconds: float = 10.0,
    ) -> None:
        self._measured = measured
        self._timeout = max(SHORTEST_TIMEOUT, PROBE_SHARE * deadline_seconds)
        self._fresh_seconds = self._timeout + FRESH_BEYOND_TIMEOUT
        self._catalog = catalog
        self._triton = triton
        self._clock = clock
        self._success = float("-inf")
        self._traffic = float("-inf")
        self._answered = float("-inf")  # by any model
        self._in_vain: float | None = None  # when the last probe began, if Triton failed it
        self._inferred = 0.0
        self._probes = 0
        self._failing = False
        self._told: set[str] = set()  # the reasons that were logged since it was ready
        self._born = clock()
        self._reason = "No inference has succeeded yet."
        self._golden: tuple[Model, Tensor] | None = None
        self._background = Background("readiness", self._check_again)
        self.draining = False

    def start(self) -> None:
        """Check every two seconds, or at once when in doubt, until `stop`."""
        self._background.start()

    def stop(self) -> None:
        """End what `start` began."""
        self._background.stop()

    def is_ready(self) -> bool:
        """Tell whether the default model infers and this gateway takes work."""
        fresh = self._clock() - self._success < self._fresh_seconds
        return fresh and not self._failing and not self.draining

    def as_json(self) -> dict[str, Any]:
        """Return the body of /readyz."""
        if self.is_ready() and (model := self._default()):
            absent = self._catalog.stands_in_for()
            told = {"stands_in_for": absent} if absent else {}
            return {"status": "ready", "model": model, **told}
        reason = "The gateway is shutting down." if self.draining else self._reason
        return {"status": "not_ready", "reason": reason}

    def succeeded(self, model: str) -> None:
        """Note that this model answered a client's request."""
        self._answered = self._clock()
        if model == self._default():
            self._traffic = self._clock()

    def require(self, model: str = "") -> None:
        """Raise TritonUnavailable if asking this model, the default one if "", would be in vain."""
        since = self._in_vain
        if since is None:
            return
        is_default = model in ("", self._catalog.default())
        answered = self._traffic if is_default else self._answered
        # While Triton itself still answers, nothing is known about the other models.
        if answered < since and (is_default or self._catalog.is_away):
            raise TritonUnavailable(self._reason)

    def doubted(self, model: str = "") -> None:
        """Note that this model, the default one if "", failed a client: probe at once."""
        if model in ("", self._default()):  # another one may be broken while that infers
            self._failing = True
            self._reason = "Triton failed the last inference."
        self._background.wake()

    def check(self) -> None:
        """Prove that the model infers: by its inferences for clients, else by a probe."""
        if self._clients_prove_it():
            self._note_success()
        else:
            self.probe()

    def _check_again(self) -> float:
        self.check()
        return PROBE_SECONDS if self.is_ready() else RETRY_SECONDS

    def _clients_prove_it(self) -> bool:
        """Tell whether a client was answered, and Triton inferred more than our own probes.

        A busy model gets no probes: a VGG16 probe costs as much as a client's picture.
        """
        if self._failing or not self._traffic > self._success:
            return False
        inferred = self._catalog.inferred(self._default())
        more = inferred - self._inferred > self._probes
        self._inferred, self._probes = inferred, 0
        return more

    def _default(self) -> str:
        """Return the default model, "" while there is none: a probe says why."""
        try:
            return self._catalog.default()
        except TritonUnavailable:
            return ""

    def probe(self) -> None:
        """Run one real inference of the default model."""
        start = self._clock()
        try:
            model = self._catalog.find(self._catalog.default())
            tensor = _vary(self._golden_tensor(model))
            began = self._clock()
            self._probes += 1
            answer = self._triton.infer(model, "", [tensor], 1, Deadline(self._timeout))
            _require_labels(answer)
        except Overloaded as error:
            self._note_full_queue(error, start)
        except EdgeLensError as error:
            self._note_failure(error, start)
        else:
            self._measured(model.name, self._clock() - began)
            self._note_success()

    def _note_full_queue(self, error: Overloaded, start: float) -> None:
        """Count a full queue as a success while clients are being answered, else as a failure."""
        if self._clock() - self._traffic < self._fresh_seconds:
            self._note_success()
        else:
            self._note_failure(error, start)

    def _note_failure(self, error: EdgeLensError, start: float) -> None:
        # The second failure in a row, and nobody was answered for as long as a probe may take: the
        # other machine may be gone, or have another address. A balancer that ends still answers.
        silence = self._clock() - max(self._success, self._answered)
        lost = isinstance(error, DeadlineExceeded | TritonUnreachable)
        if self._failing and lost and silence >= self._timeout:
            self._triton.reconnect(cut=isinstance(error, DeadlineExceeded))
        if not self._failing:
            self._background.wake()  # probe again at once: another replica may answer
        starting = self._success == float("-inf") and self._clock() - self._born < PATIENCE
        if not starting and error.message not in self._told:
            self._told.add(error.message)
            logger.warning("not ready: %s", error.for_log())
        self._failing = True
        self._reason = error.message
        away = isinstance(error, TritonUnavailable | DeadlineExceeded)
        self._in_vain = start if away else None

    def _note_success(self) -> None:
        if self._told:
            self._told.clear()
            logger.warning("ready again" if self._success > float("-inf") else "ready")
        self._success = self._clock()
        self._failing = False
        self._in_vain = None

    def _golden_tensor(self, model: Model) -> Tensor:
        if self._golden is None or self._golden[0] != model:
            self._golden = (model, _decode_golden(model))
        return self._golden[1]


def _require_labels(answer: Answer) -> None:
    """Raise what every client would get from a model that answers logits."""
    for row in answer.rows:
        if isinstance(row, InferenceFailed):
            raise row


def _vary(tensor: Tensor) -> Tensor:
    """Change up to four pixels at random, so that Triton's cache cannot answer a probe."""
    varied = tensor.copy()
    changed = varied[0, :4]
    changed[:] = np.frombuffer(os.urandom(changed.size), np.uint8).reshape(changed.shape)
    return varied


def _decode_golden(model: Model) -> Tensor:
    try:
        return to_tensor(model.golden_picture, model.contract)
    except EdgeLensError:  # there is none, or a broken one, with which the model still infers
        return np.zeros(model.contract.shape, np.uint8)
