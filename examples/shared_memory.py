"""Classify a picture that Triton reads from shared memory instead of from a socket.

For programs on the server's own host (in containers: with a shared /dev/shm). Registering memory
needs the admin key, in TRITON_ADMIN_KEY or in the file that a server started with `make serve`
writes to EDGELENS_RUNTIME_DIR, by default .cache/run.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, serialize_byte_tensor
from tritonclient.utils import shared_memory as shm

HOME = Path(__file__).resolve().parent.parent
KEY_FILE = Path(os.environ.get("EDGELENS_RUNTIME_DIR") or HOME / ".cache/run") / "admin-key"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--url", default="127.0.0.1:8001", help="default: %(default)s")
    parser.add_argument("--model", default="efficientnet_lite0", help="default: %(default)s")
    options = parser.parse_args()
    address = options.url.removeprefix("http://").rstrip("/")
    if "://" in address:
        parser.error("--url must be HOST:PORT or http://HOST:PORT")
    key = os.environ.get("TRITON_ADMIN_KEY") or KEY_FILE.read_text()
    headers = {"triton-grpc-protocol-x-edgelens-admin": key}

    encoded = np.array([[picture.read_bytes()] for picture in options.pictures], dtype=np.object_)
    serialized = serialize_byte_tensor(encoded)  # each picture, preceded by its length
    size = len(serialized.item())
    name = f"edgelens_example_{os.getpid()}"
    region = shm.create_shared_memory_region(name, f"/{name}", size)
    try:
        shm.set_shared_memory_region(region, [serialized])
        with triton.InferenceServerClient(address) as client:
            client.register_system_shared_memory(name, f"/{name}", size, headers=headers)
            image = triton.InferInput("image", list(encoded.shape), "BYTES")
            image.set_shared_memory(name, size)
            best = triton.InferRequestedOutput("probabilities", class_count=1)
            try:
                result = client.infer(f"{options.model}_image", [image], outputs=[best])
            finally:
                client.unregister_system_shared_memory(name, headers=headers)
    finally:
        shm.destroy_shared_memory_region(region)

    for picture, (answer,) in zip(options.pictures, result.as_numpy("probabilities"), strict=True):
        score, _, label = answer.decode().split(":", 2)
        print(f"{picture}: {label} ({float(score):.1%})")


try:
    main()
except (OSError, InferenceServerException, shm.SharedMemoryException) as error:
    sys.exit(f"shared_memory.py: {error}")
