"""The ratios that judge a run; a ratio is None if a part of it was not measured."""

from collections.abc import Iterable
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
from benchmarks.spread import spread

GOALS = {
    "gateway_vs_raw_vgg16": (">=", 0.95),
    "bf16_vs_best_peer": (">=", 2.1),
    "same_engine_vs_best_peer_vgg16": (">=", 1.05),
    "int8_vs_best_peer": (">=", 3.8),
    "int8_vs_article_app": (">=", 6.0),
    "gateway_vs_triton_lite0": (">=", 0.8),
    "same_engine_vs_best_peer_lite0": (">=", 1.5),
    "added_p50_ms_lite0": ("<=", 3.0),
    "int8_agreement_lite0": (">=", 0.95),
    "replica_efficiency_16": (">=", 0.9),
}
MOST = 16  # replicas


def ratios(results: dict[str, Any]) -> dict[str, float | None]:
    """Return the ratios, by the names of GOALS."""
    floating, int8 = _rate(results, VGG16, GATEWAY_FLOAT), _rate(results, VGG16, GATEWAY_INT8)
    documented = _best(results, VGG16, AS_DOCUMENTED)
    lite0 = _rate(results, LITE0, GATEWAY_FLOAT)
    return {
        "gateway_vs_raw_vgg16": _least(
            _quotient(floating, _raw(results, FLOAT)), _quotient(int8, _raw(results, "int8"))
        ),
        "bf16_vs_best_peer": _quotient(floating, documented),
        "same_engine_vs_best_peer_vgg16": _quotient(floating, _best(results, VGG16, SAME_ENGINE)),
        "int8_vs_best_peer": _quotient(int8, documented),
        "int8_vs_article_app": _quotient(int8, _rate(results, VGG16, ARTICLE)),
        "gateway_vs_triton_lite0": _quotient(lite0, _rate(results, LITE0, TRITON_FLOAT)),
        "same_engine_vs_best_peer_lite0": _quotient(lite0, _best(results, LITE0, SAME_ENGINE)),
        "added_p50_ms_lite0": _added(results.get("alone")),
        "int8_agreement_lite0": results.get("int8_agreement"),
        "replica_efficiency_16": _efficiency(results.get("replicas")),
    }


def _rate(results: dict[str, Any], model: str, name: str) -> float | None:
    """Return a contender's median throughput."""
    loads = results.get("loads", {}).get(model, {}).get(name)
    return spread(loads, "throughput").median if loads else None


def _best(results: dict[str, Any], model: str, names: Iterable[str]) -> float | None:
    """Return the highest median throughput of several contenders."""
    rates = [rate for name in names if (rate := _rate(results, model, name))]
    return max(rates, default=None)


def _raw(results: dict[str, Any], precision: str) -> float | None:
    """Return the engine's own throughput with VGG16 at its best batch size."""
    measured = [raw[VGG16][precision] for raw in results.get("raw", []) if VGG16 in raw]
    return spread(measured, "best").median if measured else None


def _quotient(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _least(*values: float | None) -> float | None:
    """Return the least, None if one of them is missing."""
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None


def _added(alone: dict[str, float] | None) -> float | None:
    """Return what a single request costs beyond inference and decoding, in ms."""
    if not alone:
        return None
    return alone["gateway_p50_ms"] - alone["inference_p50_ms"] - alone["decode_p50_ms"]


def _efficiency(replicas: dict[str, dict[str, float]] | None) -> float | None:
    """Return the throughput of sixteen replicas as a share of sixteen times that of one."""
    if not replicas or str(MOST) not in replicas:
        return None
    return replicas[str(MOST)]["throughput"] / (MOST * replicas["1"]["throughput"])
