"""What a run leaves: JSON for programs, a Markdown table for people, and plots."""

import json
import platform
import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).with_name("results")
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


def write(results: dict[str, Any]) -> Path:
    """Write latest.json, latest.md and the plots; return the Markdown file's path."""
    RESULTS.mkdir(exist_ok=True)
    results["machine"] = machine()
    (RESULTS / "latest.json").write_text(json.dumps(results, indent=2) + "\n")
    page = RESULTS / "latest.md"
    page.write_text(markdown(results))
    plot_throughput(results)
    if "replicas" in results:
        plot_replicas(results["replicas"])
    return page


def machine() -> dict[str, object]:
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line for line in cpuinfo.splitlines() if line.startswith("model name")]
    flags = [flag for flag in ("avx512_bf16", "avx512_vnni", "amx_bf16") if flag in cpuinfo]
    return {
        "cpu": models[0].split(": ", 1)[1] if models else platform.processor(),
        "cores": len(models),
        "flags": flags,
        "python": platform.python_version(),
    }


def spread(loads: list[dict[str, float]], key: str) -> tuple[float, float, float]:
    """Return median, least and greatest over the rounds."""
    values = [load[key] for load in loads]
    return statistics.median(values), min(values), max(values)


def markdown(results: dict[str, Any]) -> str:
    about = results["machine"]
    lines = [
        "# Results of `make bench`",
        "",
        f"{about['cpu']}, {about['cores']} cores ({', '.join(about['flags'])}).",
        "Absolute figures are illustration; the ratios were taken in one run on this machine.",
        "",
        "| ratio | goal | measured | |",
        "|---|---|---|---|",
    ]
    for name, (sign, goal) in GOALS.items():
        value = results["ratios"].get(name)
        if value is None:
            lines.append(f"| `{name}` | {sign} {goal} | not measured | |")
            continue
        met = value >= goal if sign == ">=" else value <= goal
        lines.append(f"| `{name}` | {sign} {goal} | {value:.3f} | {'met' if met else 'MISSED'} |")
    for model, contenders in results["loads"].items():
        lines += ["", f"## {model}, {results['clients']} clients", ""]
        lines += [
            "| contender | answers/s (least to greatest) | p50 ms | p99 ms | errors | memory MB |",
            "|---|---|---|---|---|---|",
        ]
        for name, loads in contenders.items():
            middle, least, greatest = spread(loads, "throughput")
            lines.append(
                f"| {name} | {middle:.1f} ({least:.1f} to {greatest:.1f}) "
                f"| {spread(loads, 'p50_ms')[0]:.0f} | {spread(loads, 'p99_ms')[0]:.0f} "
                f"| {sum(load['errors'] for load in loads)} "
                f"| {spread(loads, 'memory')[0] / 1e6:.0f} |"
            )
        for name, raw in results["raw"].get(model, {}).items():
            lines.append(
                f"| engine alone, {name} | {raw['best']:.1f} | {raw['p50_ms']:.1f} | | | |"
            )
    return "\n".join([*lines, ""])


def plot_throughput(results: dict[str, Any]) -> None:
    figure, axes = plt.subplots(len(results["loads"]), 1, figsize=(8, 7), layout="constrained")
    for axis, (model, contenders) in zip(axes, results["loads"].items(), strict=True):
        names = list(contenders)
        middles = [spread(loads, "throughput") for loads in contenders.values()]
        errors = [[m - low for m, low, _ in middles], [high - m for m, _, high in middles]]
        colours = ["tab:blue" if "EdgeLens" in name else "tab:grey" for name in names]
        axis.barh(names, [m for m, _, _ in middles], xerr=errors, color=colours)
        axis.invert_yaxis()
        axis.set_title(model)
        axis.set_xlabel("answers a second")
    figure.savefig(RESULTS / "throughput.svg")
    plt.close(figure)


def plot_replicas(replicas: dict[str, float]) -> None:
    counts = [int(count) for count in replicas]
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    axis.plot(counts, list(replicas.values()), "o-", label="measured")
    first = replicas[str(counts[0])] / counts[0]
    axis.plot(counts, [first * count for count in counts], "--", label="linear")
    axis.set_xlabel("Triton replicas (a model that sleeps)")
    axis.set_ylabel("answers a second")
    axis.legend()
    figure.savefig(RESULTS / "replicas.svg")
    plt.close(figure)
