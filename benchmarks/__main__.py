"""Measure EdgeLens beside its peers: `make bench`, about fifteen minutes on two cores."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import contenders, replicas, report
from benchmarks.contenders import GATEWAY, HOME, INFERENCE, Contender, Server
from benchmarks.load import Target, press
from benchmarks.repositories import LITE0, PHOTOS, VGG16, Repositories, prepare

CLIENTS = 16
PAUSE_TO_WARM = 2  # seconds of load before each measurement
SECONDS = {VGG16: 10, LITE0: 6}
GATEWAY_BF16, GATEWAY_INT8 = "EdgeLens, bf16", "EdgeLens, int8"
TRITON = "EdgeLens' Triton fed tensors, bf16"
ARTICLE = "article (Flask + Keras predict)"
SAME_ENGINE = ("LitServe, OpenVINO bf16", "BentoML, OpenVINO bf16")
AS_DOCUMENTED = (
    "Flask + gunicorn, TensorFlow",
    "LitServe, TensorFlow",
    "BentoML, TensorFlow",
    "Ray Serve, TensorFlow",
)
KINDS = {
    "Flask + gunicorn": "flask",
    "LitServe": "litserve",
    "BentoML": "bentoml",
    "Ray Serve": "ray",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (3)")
    parser.add_argument("--pictures", type=Path, help="directory of photos for int8 (see README)")
    arguments = parser.parse_args()
    begin = time.monotonic()
    repositories = prepare(arguments.pictures)
    results: dict[str, Any] = {
        "clients": CLIENTS,
        "rounds": arguments.rounds,
        "loads": {},
        "raw": {},
    }
    results["raw"] = measure_raw(repositories)
    with tempfile.TemporaryDirectory(prefix="edgelens-bench-") as scratch:
        results |= measure_alone(repositories, Path(scratch))
        for number in range(arguments.rounds):
            for model, entrants in field(repositories).items():
                loads = results["loads"].setdefault(model, {})
                for contender in entrants:
                    say(
                        begin,
                        f"round {number + 1} of {arguments.rounds}: {model}, {contender.name}",
                    )
                    for name, load in measure(contender, model, Path(scratch)).items():
                        loads.setdefault(name, []).append(load)
        say(begin, "replicas of a model that sleeps")
        results["replicas"] = replicas.measure(Path(scratch))
    results["ratios"] = ratios(results) | {"int8_agreement_lite0": repositories.agreement}
    print(report.write(results).read_text())
    return 0


def say(begin: float, text: str) -> None:
    print(f"[{time.monotonic() - begin:5.0f} s] {text}", file=sys.stderr, flush=True)


def field(repositories: Repositories) -> dict[str, list[Contender]]:
    """Return the contenders of each model, in the order in which they take turns."""
    vgg16 = repositories.saved_model(VGG16)
    lite0 = repositories.saved_model(LITE0)

    def peers(names: tuple[str, ...], saved_model: Path) -> list[Contender]:
        found = []
        for name in names:
            kind, engine = name.split(", ")
            words = (engine.split(" ")[0].lower(), "f32" if "bf16" not in engine else "bf16")
            found.append(contenders.peer(name, KINDS[kind], saved_model, *words))
        return found

    return {
        VGG16: [
            contenders.edgelens(GATEWAY_BF16, repositories.bf16, VGG16),
            contenders.edgelens(GATEWAY_INT8, repositories.int8, VGG16),
            contenders.article(vgg16.parents[1] / "labels.txt"),
            *peers(AS_DOCUMENTED + SAME_ENGINE, vgg16),
        ],
        LITE0: [
            contenders.edgelens(GATEWAY_BF16, repositories.bf16, LITE0),
            *peers((*SAME_ENGINE, "Ray Serve, OpenVINO bf16"), lite0),
        ],
    }


def measure(contender: Contender, model: str, scratch: Path) -> dict[str, dict[str, float]]:
    """Start a contender, warm it, press it; EdgeLens' Triton is pressed by itself as well."""
    loads = {}
    with contenders.running(contender) as server:
        target = contenders.target(server, PHOTOS, scratch)
        loads[contender.name] = pressed(server, target, SECONDS[model])
        if model == LITE0 and contender.name == GATEWAY_BF16:
            loads[TRITON] = pressed(server, tensors(server, model, scratch), SECONDS[model])
    return loads


def pressed(server: Server, target: Target, seconds: int) -> dict[str, float]:
    press(target, CLIENTS, PAUSE_TO_WARM)
    load = press(target, CLIENTS, seconds)
    return asdict(load) | {"throughput": load.throughput, "memory": server.memory()}


def tensors(server: Server, model: str, scratch: Path) -> Target:
    """Return a target that posts ready tensors to Triton's own HTTP endpoint."""
    from gateway.contract import Contract
    from gateway.image import to_tensor

    contract = Contract(224, 224, 256, "center", "cubic", "RGB", "0-255")
    request = {
        "inputs": [
            {
                "name": "image",
                "shape": [1, 224, 224, 3],
                "datatype": "UINT8",
                "parameters": {"binary_data_size": 224 * 224 * 3},
            }
        ],
        "outputs": [{"name": "probabilities", "parameters": {"classification": 5}}],
    }
    header = json.dumps(request).encode()
    paths = []
    for photo in PHOTOS:
        path = scratch / f"{photo.stem}.tensor"
        path.write_bytes(header + to_tensor(photo.read_bytes(), contract).tobytes())
        paths.append(path)
    url = f"http://127.0.0.1:{server.triton_http}/v2/models/{model}/infer"
    return Target(url, paths, {"Inference-Header-Content-Length": str(len(header))})


def measure_raw(repositories: Repositories) -> dict[str, dict[str, Any]]:
    """Measure the engine alone, at its best batch size."""
    found: dict[str, dict[str, Any]] = {}
    for model, precisions in ((VGG16, ("f32", "bf16", "int8")), (LITE0, ("f32", "bf16", "int8"))):
        found[model] = {}
        for precision in precisions:
            saved_model = repositories.saved_model(model, precision)
            command = [INFERENCE, "-m", "benchmarks.raw", "engine", saved_model]
            found[model][precision] = run_json(
                [*command, "--precision", precision, "--seconds", "2"]
            )
    return found


def measure_alone(repositories: Repositories, scratch: Path) -> dict[str, Any]:
    """Measure one client on an idle box, and what its request costs without any server."""
    rounds = []
    contender = contenders.edgelens(GATEWAY_BF16, repositories.bf16, LITE0)
    with contenders.running(contender) as server:
        target = contenders.target(server, PHOTOS, scratch)
        press(target, 1, PAUSE_TO_WARM)
        for _ in range(3):
            rounds.append(press(target, 1, 4).p50_ms)
    saved_model = repositories.saved_model(LITE0)
    raw = run_json(
        [INFERENCE, "-m", "benchmarks.raw", "engine", saved_model, "--precision", "bf16"]
    )
    decode = run_json([GATEWAY, "-m", "benchmarks.raw", "decode", *PHOTOS])
    return {
        "alone": {
            "gateway_p50_ms": statistics.median(rounds),
            "inference_p50_ms": raw["p50_ms"],
            "decode_p50_ms": decode["p50_ms"],
        }
    }


def run_json(command: list[Any]) -> dict[str, Any]:
    run = subprocess.run([str(w) for w in command], cwd=HOME, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{run.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return answer


def ratios(results: dict[str, Any]) -> dict[str, float]:
    """Return the ratios that the results are judged by; their names are the report's keys."""

    def rate(model: str, name: str) -> float:
        return report.spread(results["loads"][model][name], "throughput")[0]

    def best(model: str, names: tuple[str, ...]) -> float:
        return max(rate(model, name) for name in names if name in results["loads"][model])

    raw, alone = results["raw"][VGG16], results["alone"]
    bf16, int8 = rate(VGG16, GATEWAY_BF16), rate(VGG16, GATEWAY_INT8)
    documented = best(VGG16, AS_DOCUMENTED)
    lite0 = rate(LITE0, GATEWAY_BF16)
    measured = results["replicas"]
    return {
        "gateway_vs_raw_vgg16": min(bf16 / raw["bf16"]["best"], int8 / raw["int8"]["best"]),
        "bf16_vs_best_peer": bf16 / documented,
        "same_engine_vs_best_peer_vgg16": bf16 / best(VGG16, SAME_ENGINE),
        "int8_vs_best_peer": int8 / documented,
        "int8_vs_article_app": int8 / rate(VGG16, ARTICLE),
        "gateway_vs_triton_lite0": lite0 / rate(LITE0, TRITON),
        "same_engine_vs_best_peer_lite0": lite0
        / best(LITE0, (*SAME_ENGINE, "Ray Serve, OpenVINO bf16")),
        "added_p50_ms_lite0": alone["gateway_p50_ms"]
        - alone["inference_p50_ms"]
        - alone["decode_p50_ms"],
        "replica_efficiency_16": measured["16"] / (16 * measured["1"]),
    }


if __name__ == "__main__":
    sys.exit(main())
