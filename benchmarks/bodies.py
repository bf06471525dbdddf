"""What the load posts: photographs as they are, or as prepared tensors."""

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
    """The photographs in the forms that servers accept, written once."""

    scratch: Path

    def target(self, server: Server) -> Target:
        """Return the target that posts photographs to a server."""
        return Target(server.url, PHOTOS, {"Content-Type": "image/jpeg"})

    def tensors(self, server: Server, model: str) -> Target:
        """Return the target that posts prepared tensors to a server's own Triton, over HTTP."""
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
    """Return the KServe JSON that asks for the five best labels of one binary tensor."""
    tensor = {
        "name": "image",
        "shape": [1, SIDE, SIDE, 3],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": SIDE * SIDE * 3},
    }
    wanted = {"name": "probabilities", "parameters": {"classification": 5}}
    return json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
