"""Classify pictures concurrently over HTTP with asyncio."""

import argparse
import asyncio
import sys
from pathlib import Path

import aiohttp
import numpy as np
import tritonclient.http.aio as triton
from tritonclient.utils import InferenceServerException


async def classify(client: triton.InferenceServerClient, model: str, picture: Path) -> str:
    """Return a picture's line, or "" if it has no label."""
    image = triton.InferInput("image", [1, 1], "BYTES")
    best = triton.InferRequestedOutput("probabilities", class_count=1)
    try:
        image.set_data_from_numpy(np.array([[picture.read_bytes()]], dtype=np.object_))
        result = await client.infer(f"{model}_image", [image], outputs=[best])
    except (OSError, aiohttp.ClientError) as error:  # the others' answers still count
        print(f"{picture}: {error}", file=sys.stderr)
        return ""
    except InferenceServerException as error:  # its str() fails if the server is not Triton
        print(f"{picture}: {error.message()}", file=sys.stderr)
        return ""
    score, _, label = result.as_numpy("probabilities")[0, 0].decode().split(":", 2)
    return f"{picture}: {label} ({float(score):.1%})"


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--url", default="127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument("--model", default="efficientnet_lite0", help="default: %(default)s")
    options = parser.parse_args()
    address = options.url.removeprefix("http://").rstrip("/")
    if "://" in address:
        parser.error("--url must be HOST:PORT or http://HOST:PORT")
    # Triton joins requests that wait at the same time into batches.
    async with triton.InferenceServerClient(address, conn_limit=16) as client:
        answers = (classify(client, options.model, picture) for picture in options.pictures)
        named = await asyncio.gather(*answers)
    for line in filter(None, named):
        print(line)
    return 0 if all(named) else 1


sys.exit(asyncio.run(main()))
