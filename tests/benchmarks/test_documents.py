"""The figures that the documents quote are those of the runs kept beside them.

`latest.json` is none of these: whoever runs `make bench` replaces it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.report import RESULTS
from benchmarks.spread import spread

HOME = RESULTS.parent.parent
RUNS = {
    "Xeon with AMX": "xeon-amx",
    "the same in a quiet hour": "xeon-amx-quiet",
    "the same beside busy neighbours": "xeon-amx-shared",
    "Xeon without AMX": "xeon-without-amx",
}
ROW = re.compile(r"\| (.+), (bf16|f32|int8) \| (.+) \|")
ROWS = ROW.findall((HOME / "docs/performance.md").read_text())


def read(run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{run}.json").read_text())
    return found


def rates(found: dict[str, Any]) -> dict[str, float]:
    """Return each contender's median throughput with VGG16."""
    loads = found["loads"]["vgg16"].items()
    return {name: spread(measured, "throughput").median for name, measured in loads}


def best(found: dict[str, float], engine: str) -> str:
    rate, peer = max(
        (rate, name)
        for name, rate in found.items()
        if name.endswith(engine) and not name.startswith(("EdgeLens", "plain"))
    )
    return f"{rate:.1f} ({peer.partition(',')[0].partition(' ')[0]})"


def cells(run: str, precision: str) -> Iterator[str]:
    """Spell a row of the table."""
    found = read(run)
    there = rates(found)
    yield f"{there[f'EdgeLens, {precision}']:.1f}"
    is_int8 = precision == "int8"
    yield "" if is_int8 else best(there, f"OpenVINO {precision}")
    yield "" if is_int8 else best(there, "TensorFlow")
    yield "" if is_int8 else f"{there['article (Flask + Keras predict)']:.1f}"
    alone = spread([measured["vgg16"][precision] for measured in found["raw"]], "best")
    yield f"{alone.median:.1f}"


def test_every_kept_run_is_in_the_table() -> None:
    assert {run for run, _, _ in ROWS} == set(RUNS)
    assert {path.stem for path in RESULTS.glob("*.json")} == {*RUNS.values(), "latest"}


@pytest.mark.parametrize(("run", "precision", "row"), ROWS)
def test_the_table_says_what_was_measured(run: str, precision: str, row: str) -> None:
    assert [cell.strip() for cell in row.split("|")] == list(cells(RUNS[run], precision))


def test_the_readme_says_what_was_measured() -> None:
    there, plain = rates(read("xeon-amx")), rates(read("xeon-without-amx"))
    article = there["article (Flask + Keras predict)"]
    bf16, int8 = there["EdgeLens, bf16"], there["EdgeLens, int8"]
    said = " ".join((HOME / "README.md").read_text().split())
    assert (
        f"VGG16 answers {bf16:.1f} pictures a second at bf16 and {int8:.1f} at int8,"
        f" {bf16 / article:.1f} and {int8 / article:.1f} times as many" in said
    )
    without = f"{plain['EdgeLens, f32']:.1f} at float32 and {plain['EdgeLens, int8']:.1f} at int8"
    assert f"without AMX {without}" in said
