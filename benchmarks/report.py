"""What a run writes: JSON for programs, a Markdown page for people, and plots."""

import json
import platform
from pathlib import Path
from typing import Any

from benchmarks.page import page
from benchmarks.plots import plot_replicas, plot_throughput
from gateway.cpus import available_cpus
from inference.writing import write_text

RESULTS = Path(__file__).with_name("results")
FLAGS = ("avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")


def write(results: dict[str, Any], directory: Path) -> Path:
    """Write latest.json, latest.md and the plots; return the Markdown file's path."""
    directory.mkdir(parents=True, exist_ok=True)
    results = results | {"machine": machine()}
    write_text(directory / "latest.json", json.dumps(results, indent=2) + "\n")
    path = directory / "latest.md"
    write_text(path, page(results))
    if results["loads"]:
        write_text(directory / "throughput.svg", plot_throughput(results["loads"]))
    if "replicas" in results:
        write_text(directory / "replicas.svg", plot_replicas(results["replicas"]))
    return path


def machine() -> dict[str, Any]:
    """Describe the processor; `cores` is what the cgroup's quota allows."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line for line in cpuinfo.splitlines() if line.startswith("model name")]
    words = set(cpuinfo.split())
    return {
        "cpu": models[0].split(": ", 1)[1] if models else platform.processor(),
        "cores": available_cpus(),
        "flags": [flag for flag in FLAGS if flag in words],
        "python": platform.python_version(),
    }
