"""LitServe with batching on, as its documents show; pictures come as base64 in JSON, as there."""

import argparse
import base64

import litserve as ls
import numpy as np

from benchmarks.peers import engines
from benchmarks.peers.pictures import MAX_BATCH, tensor, top5


class Classifier(ls.LitAPI):
    def setup(self, device):
        self.model = engines.load()
        self.model(np.zeros((MAX_BATCH, 224, 224, 3), np.uint8))

    def decode_request(self, request):
        return tensor(base64.b64decode(request["image_bytes"]))

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, batch):
        return self.model(batch)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return top5(output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    api = Classifier(max_batch_size=MAX_BATCH, batch_timeout=0.005)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=parser.parse_args().port,
        generate_client_file=False,
        log_level="warning",
    )
