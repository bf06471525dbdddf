"""What the load posts: photographs as they are, or as ready tensors."""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.exports import CONTRACT
from benchmarks.load import Target
from benchmarks.places import PHOTOS
from benchmarks.servers import Server
from gateway.image import to_tensor

SIDE = CONTRACT.width


@dataclass(frozen=True)
class Bodies:
    """The photographs in the shapes in which servers take them, written once."""

    scratch: Path

    def target(self, server: Server) -> Target:
        """Say how to press a server with photographs."""
        return Target(server.url, PHOTOS, {"Content-Type": "image/jpeg"})

    def tensors(self, server: Server, model: str) -> Target:
        """Say how to press a server's own Triton with ready tensors, over HTTP."""
        header = _inference_header()
        url = f"{server.triton}/v2/models/{model}/infer"
        headers = {"Inference-Header-Content-Length": str(len(header))}
        return Target(url, self._tensors(header), headers)

    def _tensors(self, header: bytes) -> list[Path]:
        return [
            self._written(
                f"{photo.stem}.tensor", header + to_tensor(photo.read_bytes(), CONTRACT).tobytes()
            )
            for photo in PHOTOS
        ]

    def _written(self, name: str, content: bytes) -> Path:
        path = self.scratch / name
        if not path.exists():
            path.write_bytes(content)
        return path


def _inference_header() -> bytes:
    """Ask for the five best labels of one binary tensor, in the KServe protocol's JSON."""
    tensor = {
        "name": "image",
        "shape": [1, SIDE, SIDE, 3],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": SIDE * SIDE * 3},
    }
    wanted = {"name": "probabilities", "parameters": {"classification": 5}}
    return json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
