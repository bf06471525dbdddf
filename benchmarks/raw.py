"""The limits: the engine alone, and decoding alone. Prints one JSON object.

python -m benchmarks.raw engine SAVED_MODEL --precision bf16    (Triton's environment)
python -m benchmarks.raw decode PHOTO...                        (the gateway's environment)
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

BATCHES = (1, 4, 8, 16)
SIZE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(required=True)
    engine = parts.add_parser("engine")
    engine.add_argument("saved_model", type=Path)
    engine.add_argument("--precision", choices=("f32", "bf16", "int8"), default="f32")
    engine.add_argument("--seconds", type=float, default=3.0, help="for each batch size")
    engine.set_defaults(run=measure_engine)
    decode = parts.add_parser("decode")
    decode.add_argument("photos", type=Path, nargs="+")
    decode.set_defaults(run=measure_decode)
    arguments = parser.parse_args()
    print(json.dumps(arguments.run(arguments)))


def measure_engine(arguments: argparse.Namespace) -> dict[str, object]:
    """Return images a second by batch size, and the median latency of one picture in ms."""
    import openvino as ov

    core = ov.Core()
    int8 = arguments.saved_model.parent / "model.int8.xml"
    path = int8 if arguments.precision == "int8" else arguments.saved_model
    hint = "f32" if arguments.precision == "f32" else "bf16"
    throughput = {}
    latency = 0.0
    for size in BATCHES:
        model = core.read_model(path)
        model.reshape([size, SIZE, SIZE, 3])
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
        compiled = core.compile_model(model, "CPU", options)
        pictures = np.random.default_rng(0).integers(0, 256, (size, SIZE, SIZE, 3), np.uint8)
        times = repeat(lambda c=compiled, p=pictures: c(p), arguments.seconds)
        throughput[size] = size * len(times) / sum(times)
        if size == 1:
            latency = statistics.median(times) * 1e3
    return {"throughput": throughput, "best": max(throughput.values()), "p50_ms": latency}


def measure_decode(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the median time from JPEG bytes to the model's tensor, over the photos, in ms."""
    from gateway.contract import Contract
    from gateway.image import to_tensor

    contract = Contract(SIZE, SIZE, 256, "center", "cubic", "RGB", "0-255")
    photos = [path.read_bytes() for path in arguments.photos]
    times = []
    for photo in photos:
        times += repeat(lambda p=photo: to_tensor(p, contract), 0.3)
    return {"p50_ms": statistics.median(times) * 1e3}


def repeat(work: Callable[[], object], seconds: float) -> list[float]:
    """Do the work again and again for some seconds; return how long each time took."""
    for _ in range(2):
        work()
    times = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end or len(times) < 3:
        work()
        times.append(time.perf_counter() - begin)
    return times


if __name__ == "__main__":
    main()
