"""BentoML with adaptive batching, as its documents show: an API service over a batchable one."""

from pathlib import Path

import bentoml
import numpy as np

from benchmarks.peers import engines
from benchmarks.peers.pictures import MAX_BATCH, tensor, top5


@bentoml.service(traffic={"timeout": 60})
class Model:
    def __init__(self) -> None:
        self.model = engines.load()
        self.model(np.zeros((MAX_BATCH, 224, 224, 3), np.uint8))

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=10000)
    def infer(self, pictures: np.ndarray) -> np.ndarray:
        return self.model(pictures)


@bentoml.service(traffic={"timeout": 60, "concurrency": 64})
class Classifier:
    model = bentoml.depends(Model)

    @bentoml.api(route="/predict")
    async def predict(self, picture: Path, /) -> dict:
        probabilities = await self.model.to_async.infer(tensor(picture.read_bytes())[None])
        return top5(probabilities[0])
