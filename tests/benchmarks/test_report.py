import json
from pathlib import Path
from xml.etree import ElementTree

from benchmarks import report
from benchmarks.ratios import GOALS, ratios
from tests.benchmarks.canned import results


def test_a_run_leaves_json_a_page_and_plots(tmp_path: Path) -> None:
    found = results()
    found["ratios"] = ratios(found)
    page = report.write(found, tmp_path)
    written = json.loads((tmp_path / "latest.json").read_text())
    assert set(written["ratios"]) == set(GOALS)
    assert written["machine"]["cores"] >= 1
    for text in (
        "2.222 | met",
        "MISSED",
        "| EdgeLens, int8 |",
        "900 requests/s",
        "## Start and rest",
        "0.50 ms longer (0.40 to 0.60): 10.0% of a lone",
        "1.0% of one inference of VGG16",
    ):
        assert text in page.read_text()
    for plot in ("throughput.svg", "replicas.svg"):
        assert ElementTree.parse(tmp_path / plot).getroot().tag.endswith("svg")


def test_what_was_not_measured_is_null_and_said(tmp_path: Path) -> None:
    failed = {"BentoML, vgg16 (round 1)": "RuntimeError: it ended\nby itself"}
    found = {"clients": 16, "rounds": 0, "generator": "wrk", "measuring_seconds": 1}
    found |= {"loads": {}, "raw": [], "failed": failed}
    found["ratios"] = ratios(found)
    page = report.write(found, tmp_path).read_text()
    written = json.loads((tmp_path / "latest.json").read_text())
    assert set(written["ratios"].values()) == {None}
    assert page.count("not measured") == len(GOALS)
    assert "RuntimeError: it ended by itself" in page
