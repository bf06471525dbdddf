"""Ray Serve with `serve.batch`, as its documents show."""

import numpy as np
from ray import serve
from starlette.requests import Request

from benchmarks.peers import engines
from benchmarks.peers.pictures import MAX_BATCH, tensor, top5


@serve.deployment(max_ongoing_requests=64, ray_actor_options={"num_cpus": 1})
class Classifier:
    def __init__(self) -> None:
        self.model = engines.load()
        self.model(np.zeros((MAX_BATCH, 224, 224, 3), np.uint8))

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=0.005)
    async def infer(self, pictures: list[np.ndarray]) -> list[np.ndarray]:
        return list(self.model(np.stack(pictures)))

    async def __call__(self, request: Request) -> dict:
        if request.method == "GET":
            return {"status": "ok"}
        return top5(await self.infer(tensor(await request.body())))


app = Classifier.bind()
