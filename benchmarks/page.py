"""The Markdown page of a run."""

import statistics
from typing import Any

from benchmarks.exports import VGG16
from benchmarks.ratios import GOALS
from benchmarks.repositories import FLOAT
from benchmarks.spread import spread

Rows = list[list[str]]


def page(results: dict[str, Any]) -> str:
    """Return the whole page; parts that were not measured are marked as such or left out."""
    parts = [_head(results), _goals(results["ratios"])]
    parts += [_loads(results, model) for model in results["loads"]]
    parts += [_engine(results), _alone(results), _resting(results), _cache(results)]
    parts += [_replicas(results), _failed(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(titles: list[str], rows: Rows) -> str:
    """Return a Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _head(results: dict[str, Any]) -> str:
    about = results["machine"]
    return (
        "# Results of `make bench`\n\n"
        f"{about['cpu']}, {about['cores']} cores ({', '.join(about['flags'])}). "
        f"{results['rounds']} rounds, measured in {results['measuring_seconds']} s. Absolute "
        "figures are only illustrative; the ratios come from one run on this machine.\n\n"
        f"Load: {results['generator']}."
    )


def _goals(ratios: dict[str, float | None]) -> str:
    rows = []
    for name, (sign, goal) in GOALS.items():
        value = ratios.get(name)
        if value is None:
            rows.append([f"`{name}`", f"{sign} {goal}", "not measured", ""])
            continue
        met = value >= goal if sign == ">=" else value <= goal
        rows.append([f"`{name}`", f"{sign} {goal}", f"{value:.3f}", "met" if met else "MISSED"])
    goals = table(["ratio", "goal", "measured", ""], rows)
    goals += (
        "\n\n`bf16_vs_best_peer` and `int8_vs_best_peer` compare with the best peer as documented, "
        "TensorFlow at float32; `same_engine_...` with the best peer given the same engine."
    )
    if ratios.get("int8_agreement_lite0") is None:
        goals += "\n\nMeasuring int8's agreement needs photographs: `make bench PICTURES=DIR`."
    return goals


def _loads(results: dict[str, Any], model: str) -> str:
    titles = [
        "contender",
        "answers/s",
        "p50 ms",
        "p99 ms",
        "longest ms",
        "errors",
        "memory MB",
        "start s",
    ]
    titles += ["same label as f32", "load generator's share of a core"]
    rows = [_row(name, loads) for name, loads in results["loads"][model].items()]
    return (
        f"## {model}, {results['clients']} clients\n\nMedian (minimum to maximum) over the "
        f"rounds; errors are those of all rounds.\n\n{table(titles, rows)}"
    )


def _row(name: str, loads: list[dict[str, Any]]) -> list[str]:
    return [
        name,
        spread(loads, "throughput").text(1),
        spread(loads, "p50_ms").text(0),
        spread(loads, "p99_ms").text(0),
        f"{max(load['longest_ms'] for load in loads):.0f}",
        str(sum(load["errors"] for load in loads)),
        spread(loads, "memory").scaled(1e-6).text(0),
        spread(loads, "start_seconds").text(1),
        "yes" if all(load["same_label"] for load in loads) else "in the top 5",
        f"{max(load['generator'] for load in loads):.1%}",
    ]


def _engine(results: dict[str, Any]) -> str:
    if not results["raw"]:
        return ""
    rows = []
    for model, precisions in results["raw"][0].items():
        for precision in precisions:
            measured = [raw[model][precision] for raw in results["raw"]]
            best, latency = spread(measured, "best").text(1), spread(measured, "p50_ms").text(1)
            rows.append([f"{model}, {precision}", best, latency])
    titles = ["the engine alone", "best batch, pictures/s", "one picture, p50 ms"]
    return table(titles, rows)


def _alone(results: dict[str, Any]) -> str:
    if "alone" not in results:
        return ""
    named = {
        "gateway_p50_ms": "gateway and Triton, JPEG to labels",
        "triton_p50_ms": "Triton, tensor to labels",
        "inference_p50_ms": "inference alone",
        "decode_p50_ms": "decoding and resizing alone",
    }
    rows = [[text, f"{results['alone'][key]:.2f}"] for key, text in named.items()]
    return "## One client, EfficientNet-Lite0\n\n" + table(["part", "p50 ms"], rows)


def _resting(results: dict[str, Any]) -> str:
    if "resting" not in results:
        return ""
    rows = []
    for name, held in results["resting"].items():
        parts = ", ".join(f"{part} {size:.0f}" for part, size in held["parts_mb"].items())
        ratio = held["mb"] / held["weights_mb"]
        figures = [f"{held['mb']:.0f} ({parts})", f"{held['weights_mb']:.0f}", f"{ratio:.2f}"]
        rows.append([name, f"{held['start_seconds']:.1f}", *figures])
    titles = ["model", "`serve.py` to /readyz, s", "Triton at rest, MB", "weights, MB", "ratio"]
    return "## Start and rest\n\n" + table(titles, rows)


def _cache(results: dict[str, Any]) -> str:
    if "cache" not in results:
        return ""
    cache = results["cache"]
    added = cache["added_ms"]
    median = statistics.median(added)
    shares = f"{median / cache['tensor_p50_ms']:.1%} of a lone request to EfficientNet-Lite0"
    if results["raw"]:
        vgg16 = [raw[VGG16][FLOAT]["p50_ms"] for raw in results["raw"]]
        shares += f", {median / statistics.median(vgg16):.1%} of one inference of VGG16"
    return (
        "## Response cache\n\n"
        f"A picture that never repeats takes {median:.2f} ms longer ({min(added):.2f} to "
        f"{max(added):.2f}): {shares}. A repeated picture is answered in "
        f"{cache['hit_p50_ms']:.1f} ms instead of {cache['without_p50_ms']:.1f} ms "
        "(p50, one client, through the gateway)."
    )


def _replicas(results: dict[str, Any]) -> str:
    lines = []
    if "ceiling" in results:
        ceiling = results["ceiling"]["throughput"]
        lines.append(f"One gateway process forwards at most {ceiling:.0f} requests/s.")
    if "replicas" in results:
        rows = [
            [count, f"{load['throughput']:.1f}", f"{load['p99_ms']:.0f}", str(load["errors"])]
            for count, load in results["replicas"].items()
        ]
        lines.append(table(["replicas", "answers/s", "p99 ms", "errors"], rows))
    return "\n\n".join(["## A model that uses no CPU time", *lines]) if lines else ""


def _failed(results: dict[str, Any]) -> str:
    if not results["failed"]:
        return ""
    rows = [[name, " ".join(reason.split())] for name, reason in results["failed"].items()]
    return "## Failed\n\n" + table(["part", "reason"], rows)
