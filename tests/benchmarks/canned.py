"""Results as a run makes them, with round figures."""

from typing import Any

from benchmarks.contenders import (
    ARTICLE,
    AS_DOCUMENTED,
    GATEWAY_FLOAT,
    GATEWAY_INT8,
    SAME_ENGINE,
    TRITON_FLOAT,
)
from benchmarks.exports import LITE0, VGG16
from benchmarks.repositories import FLOAT


def load(throughput: float) -> dict[str, Any]:
    return {
        "throughput": throughput,
        "answers": 100,
        "p50_ms": 10.0,
        "p99_ms": 20.0,
        "longest_ms": 30.0,
        "errors": 0,
        "generator": 0.01,
        "memory": 500_000_000,
        "start_seconds": 2.0,
        "same_label": True,
    }


def results() -> dict[str, Any]:
    """Return a run of two rounds; the article's VGG16 answers 4 a second, EdgeLens 20 or 40."""
    vgg16 = {name: [load(10.0), load(8.0)] for name in AS_DOCUMENTED}
    vgg16 |= {name: [load(16.0)] for name in SAME_ENGINE}
    vgg16 |= {GATEWAY_FLOAT: [load(20.0)], GATEWAY_INT8: [load(40.0)], ARTICLE: [load(4.0)]}
    lite0 = {
        GATEWAY_FLOAT: [load(300.0)],
        TRITON_FLOAT: [load(400.0)],
        SAME_ENGINE[0]: [load(150.0)],
    }
    engine = {"best": 20.0, "p50_ms": 50.0}
    return {
        "clients": 16,
        "rounds": 2,
        "generator": "wrk",
        "measuring_seconds": 800,
        "preparation_seconds": 60,
        "int8_agreement": 0.97,
        "loads": {VGG16: vgg16, LITE0: lite0},
        "raw": [{VGG16: {FLOAT: engine, "int8": {"best": 50.0, "p50_ms": 20.0}}}],
        "alone": {
            "gateway_p50_ms": 7.0,
            "triton_p50_ms": 5.0,
            "inference_p50_ms": 3.0,
            "decode_p50_ms": 1.5,
        },
        "resting": {
            f"vgg16, {FLOAT}": {
                "start_seconds": 3.0,
                "mb": 300.0,
                "parts_mb": {"tritonserver": 40.0},
                "weights_mb": 276.0,
            }
        },
        "cache": {
            "added_ms": [0.4, 0.5, 0.6],
            "tensor_p50_ms": 5.0,
            "hit_p50_ms": 2.0,
            "without_p50_ms": 7.0,
        },
        "ceiling": load(900.0),
        "replicas": {"1": load(4.9), "16": load(76.0)},
        "failed": {},
    }
