"""What the load posts: photographs as they are, or as prepared tensors."""

import json
from pathlib import Path

from benchmarks.exports import CONTRACT, SIDE
from benchmarks.load import Target
from benchmarks.places import PHOTOS
from benchmarks.servers import Server
from gateway.image import to_tensor


def photos(server: Server) -> Target:
    """Return the target that posts photographs to a server."""
    return Target(server.url, PHOTOS, {"Content-Type": "image/jpeg"})


def tensors(server: Server, model: str, scratch: Path) -> Target:
    """Write prepared tensors; return the target that posts them to a server's Triton, over HTTP."""
    header = _inference_header()
    bodies = [scratch / f"{photo.stem}.tensor" for photo in PHOTOS]
    for photo, body in zip(PHOTOS, bodies, strict=True):
        body.write_bytes(header + to_tensor(photo.read_bytes(), CONTRACT).tobytes())
    url = f"{server.triton}/v2/models/{model}/infer"
    return Target(url, bodies, {"Inference-Header-Content-Length": str(len(header))})


def _inference_header() -> bytes:
    """Return the KServe JSON that asks for the five best labels of one binary tensor."""
    tensor = {
        "name": "image",
        "shape": [1, SIDE, SIDE, 3],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": SIDE * SIDE * 3},
    }
    wanted = {"name": "probabilities", "parameters": {"classification": 5}}
    return json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
