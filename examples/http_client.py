"""Classify pictures over HTTP."""

import argparse
import sys
from http.client import HTTPException
from pathlib import Path

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--url", default="127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument("--model", default="efficientnet_lite0", help="default: %(default)s")
    options = parser.parse_args()
    address = options.url.removeprefix("http://").rstrip("/")
    if "://" in address:
        parser.error("--url must be HOST:PORT or http://HOST:PORT")

    # One request may hold as many pictures as the model's max_batch_size, 16 by default.
    encoded = np.array([[picture.read_bytes()] for picture in options.pictures], dtype=np.object_)
    image = triton.InferInput("image", list(encoded.shape), "BYTES")
    image.set_data_from_numpy(encoded)
    best = triton.InferRequestedOutput("probabilities", class_count=1)

    with triton.InferenceServerClient(address) as client:
        result = client.infer(f"{options.model}_image", [image], outputs=[best])

    for picture, (answer,) in zip(options.pictures, result.as_numpy("probabilities"), strict=True):
        score, _, label = answer.decode().split(":", 2)
        print(f"{picture}: {label} ({float(score):.1%})")


try:
    main()
except (OSError, HTTPException) as error:
    sys.exit(f"http_client.py: {error}")
except InferenceServerException as error:  # its str() fails if the server is not Triton
    sys.exit(f"http_client.py: {error.message()}")
