"""The limits: the engine alone, and decoding alone. Prints one JSON object.

python -m benchmarks.raw engine MODEL --precision bf16    (Triton's environment)
python -m benchmarks.raw labels MODEL LABELS PHOTO        (Triton's environment)
python -m benchmarks.raw decode PHOTO...                  (the gateway's environment)
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exports import CONTRACT, SIDE
from gateway.image import to_tensor

BATCHES = (1, 4, 8)
AT_LEAST = 3  # repetitions, however long one takes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(required=True)
    engine = parts.add_parser("engine")
    engine.add_argument("model", type=Path)
    engine.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    engine.add_argument("--seconds", type=float, default=1.5, help="for each batch size")
    engine.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    engine.set_defaults(run=measure_engine)
    labels = parts.add_parser("labels")
    labels.add_argument("model", type=Path)
    labels.add_argument("labels", type=Path)
    labels.add_argument("photo", type=Path)
    labels.set_defaults(run=find_labels)
    decode = parts.add_parser("decode")
    decode.add_argument("photos", type=Path, nargs="+")
    decode.add_argument("--seconds", type=float, default=1.5)
    decode.set_defaults(run=measure_decode)
    arguments = parser.parse_args()
    print(json.dumps(arguments.run(arguments)))


def measure_engine(arguments: argparse.Namespace) -> dict[str, object]:
    """Return pictures a second by batch size, and the median latency of one picture in ms."""
    throughput: dict[int | str, float] = {}
    latency = 0.0
    for size in arguments.batches:
        run = compiled(arguments.model, size, arguments.precision)
        pictures = np.random.default_rng(0).integers(0, 256, (size, SIDE, SIDE, 3), np.uint8)
        times = repeat(run, itertools.repeat(pictures), arguments.seconds)
        throughput[size] = size * len(times) / sum(times)
        if size == 1:
            latency = statistics.median(times) * 1e3
    largest = max(arguments.batches)
    throughput[f"{largest} on each core"] = _side_by_side(arguments, largest)
    return {"throughput": throughput, "best": max(throughput.values()), "p50_ms": latency}


def _side_by_side(arguments: argparse.Namespace, size: int) -> float:
    """Return pictures a second when every core computes its own batches."""
    import openvino as ov

    queue = ov.AsyncInferQueue(
        compiled(arguments.model, size, arguments.precision, hint="THROUGHPUT")
    )
    pictures = np.random.default_rng(0).integers(0, 256, (size, SIDE, SIDE, 3), np.uint8)
    for _ in range(len(queue)):  # the first ones pack the weights
        queue.start_async(pictures, share_inputs=True)
    queue.wait_all()
    done, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + arguments.seconds or done < AT_LEAST:
        queue.start_async(pictures, share_inputs=True)
        done += 1
    queue.wait_all()
    return size * done / (time.perf_counter() - begin)


def find_labels(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the identifiers of a photo's five best labels at float32."""
    tensor = to_tensor(arguments.photo.read_bytes(), CONTRACT)
    probabilities = compiled(arguments.model, 1, "f32")(tensor[np.newaxis])[0][0]
    names = arguments.labels.read_text().splitlines()
    return {"best": [names[i].split()[0] for i in np.argsort(-probabilities)[:5]]}


def measure_decode(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the median ms from JPEG bytes to the model's tensor; all photos count equally."""
    photos = [path.read_bytes() for path in arguments.photos]
    times: list[float] = []
    end = time.perf_counter() + arguments.seconds
    while time.perf_counter() < end:
        times += repeat(lambda photo: to_tensor(photo, CONTRACT), photos)
    return {"p50_ms": statistics.median(times) * 1e3}


def compiled(path: Path, batch: int, precision: str, hint: str = "LATENCY") -> Any:
    """Compile a model for one batch size, as OpenVINO's documents advise for one request."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(path)
    model.reshape([batch, SIDE, SIDE, 3])
    options = {"PERFORMANCE_HINT": hint, "INFERENCE_PRECISION_HINT": precision}
    return core.compile_model(model, "CPU", options)


def repeat(
    work: Callable[[Any], object], given: Iterable[Any], seconds: float | None = None
) -> list[float]:
    """Do the work with each thing given, for some seconds or once each; return the times."""
    times: list[float] = []
    end = time.perf_counter() + (seconds or 0.0)
    for number, thing in enumerate(given):
        begin = time.perf_counter()
        if seconds and begin > end and number >= AT_LEAST + 1:
            break
        work(thing)
        times.append(time.perf_counter() - begin)
    return times[1:] if seconds else times  # the first one packs the weights


if __name__ == "__main__":
    main()
