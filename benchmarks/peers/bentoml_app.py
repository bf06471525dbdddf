"""BentoML with adaptive batching: an API service on top of a batchable one, in two processes.

As https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html shows for several services.
"""

import sys
from pathlib import Path

import bentoml
import numpy as np

from benchmarks.peers import engines
from benchmarks.peers.engines import MAX_BATCH
from benchmarks.peers.pictures import tensor, top5

TIMEOUT = 60  # seconds, BentoML's default
LATENCY = 10_000  # ms, for all sixteen clients at float32; requests expected to be slower are shed
CONCURRENCY = 64  # more than there are clients: it only tells the service what to expect
QUIET = {"access": {"enabled": False}}  # no other contender logs each request


@bentoml.service(traffic={"timeout": TIMEOUT}, logging=QUIET)
class Model:
    def __init__(self) -> None:
        self.model = engines.load()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=LATENCY)
    def infer(self, pictures: np.ndarray) -> np.ndarray:
        return self.model(pictures)


@bentoml.service(traffic={"timeout": TIMEOUT, "concurrency": CONCURRENCY}, logging=QUIET)
class Classifier:
    model = bentoml.depends(Model)

    def __init__(self) -> None:
        # Every hundred requests, 1.4.40 closes the connections between its services, and a tenth of
        # the requests in flight fail. Without that, BentoML is measured at its best.
        self.model.to_async._session_manager.max_requests = sys.maxsize

    @bentoml.api(route="/predict")
    async def predict(self, picture: Path, /) -> dict:
        probabilities = await self.model.to_async.infer(tensor(picture.read_bytes())[None])
        return top5(probabilities[0])
