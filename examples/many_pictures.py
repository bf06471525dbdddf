"""Classify all pictures below a directory, with a progress bar; print one line of CSV for each."""

import argparse
import csv
import os
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

KINDS = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"}
BAR = 40


def classify(client: triton.InferenceServerClient, model: str, picture: Path) -> list[str]:
    image = triton.InferInput("image", [1, 1], "BYTES")
    best = triton.InferRequestedOutput("probabilities", class_count=1)
    try:
        image.set_data_from_numpy(np.array([[picture.read_bytes()]], dtype=np.object_))
        result = client.infer(f"{model}_image", [image], outputs=[best])
    except OSError as error:
        return [str(picture), "", "", error.strerror or str(error)]
    except InferenceServerException as error:
        return [str(picture), "", "", error.message()]
    score, _, label = result.as_numpy("probabilities")[0, 0].decode().split(":", 2)
    return [str(picture), label, score, ""]


def show(done: int, total: int) -> None:
    bar = "#" * (BAR * done // total)
    print(f"\r[{bar:{BAR}}] {done}/{total}", end="", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--url", default="127.0.0.1:8001", help="default: %(default)s")
    parser.add_argument("--model", default="efficientnet_lite0", help="default: %(default)s")
    parser.add_argument("--at-once", type=int, default=16, help="more fill larger batches")
    options = parser.parse_args()
    address = options.url.removeprefix("http://").rstrip("/")
    if "://" in address:
        parser.error("--url must be HOST:PORT or http://HOST:PORT")
    if options.at_once < 1:
        parser.error("--at-once must be at least 1")
    found = (p for p in options.directory.rglob("*") if p.suffix.lower() in KINDS)
    pictures = sorted(p for p in found if not p.is_fifo())  # reading a pipe would wait for ever
    if not pictures:
        parser.error(f"there is no picture below {options.directory}")
    named = 0
    sys.stdout.reconfigure(errors="surrogateescape")  # a file's name may hold any bytes
    table = csv.writer(sys.stdout)
    with (
        triton.InferenceServerClient(address) as client,
        ThreadPoolExecutor(options.at_once) as pool,
    ):
        jobs = [pool.submit(classify, client, options.model, picture) for picture in pictures]
        try:
            table.writerow(["picture", "label", "probability", "error"])
            for done, job in enumerate(as_completed(jobs), start=1):
                row = job.result()
                table.writerow(row)
                named += bool(row[1])
                show(done, len(pictures))
            sys.stdout.flush()
        except KeyboardInterrupt:  # otherwise the pool would first classify all the others
            pool.shutdown(cancel_futures=True)
            sys.exit(f"\nmany_pictures.py: interrupted; {named} of {len(pictures)} named")
        except OSError as error:  # a full disk, or nobody reads on: `| head`
            pool.shutdown(cancel_futures=True)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the last lines
            sys.exit(f"\nmany_pictures.py: the output cannot be written: {error.strerror}")
    print(f"\n{named} of {len(pictures)} named", file=sys.stderr)
    return 0 if named else 1


sys.exit(main())
