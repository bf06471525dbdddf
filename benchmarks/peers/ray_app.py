"""Ray Serve with `serve.batch`; decoding and inference in threads, so that batches form meanwhile.

Follows https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html and
https://docs.ray.io/en/latest/serve/advanced-guides/asyncio-best-practices.html.
"""

import asyncio
import os
import signal

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers import engines
from benchmarks.peers.engines import MAX_BATCH
from benchmarks.peers.pictures import tensor, top5

BATCH_WAIT = 0.005  # seconds: more than sixteen clients need to ask again, far less than a batch
ONGOING = 64  # more than there are clients, so that batches fill up
CPUS = 2  # what the one replica may use; Ray limits OpenMP's threads to it


@serve.deployment(max_ongoing_requests=ONGOING, ray_actor_options={"num_cpus": CPUS})
class Classifier:
    def __init__(self) -> None:
        self.model = engines.load()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=BATCH_WAIT)
    async def infer(self, pictures: list[np.ndarray]) -> list[np.ndarray]:
        return list(await asyncio.to_thread(self.model, np.stack(pictures)))

    async def __call__(self, request: Request) -> dict:
        if request.method == "GET":
            return {"status": "ok"}
        picture = await asyncio.to_thread(tensor, await request.body())
        return top5(await self.infer(picture))


if __name__ == "__main__":
    # Ray imports the deployment by its module's name, in its own processes.
    from benchmarks.peers.ray_app import Classifier as Deployment

    signal.signal(signal.SIGTERM, lambda *_: ray.shutdown() or exit(0))
    ray.init(num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Deployment.bind(), route_prefix="/", blocking=True)
