"""What the dashboard's queries make of samples, as Prometheus itself computes it."""

import json
from pathlib import Path

import yaml

from tests.compose.promtool import promtool
from tests.places import HOME

PANELS = json.loads((HOME / "deploy/grafana/edgelens.json").read_text())["panels"]


def test_the_models_time_is_that_of_the_requests_it_computed(tmp_path: Path):
    """Of a hundred requests in five seconds, 90 come from the cache, ten take 20 ms each."""
    cached, plain = '{model="cached"}', '{model="plain"}'
    series = {
        f"nv_inference_request_success{cached}": "0+100x24",
        f"nv_cache_num_hits_per_model{cached}": "0+90x24",
        f"nv_inference_compute_infer_duration_us{cached}": "0+200000x24",
        f"nv_inference_request_success{plain}": "0+10x24",
        f"nv_inference_compute_infer_duration_us{plain}": "0+200000x24",
    }
    expect(
        tmp_path, query("Time in queue", "{{model}}: model"), series, {cached: 0.02, plain: 0.02}
    )


def query(title: str, legend: str) -> str:
    """Return the query of one line of the panel whose title begins like this."""
    panel = next(panel for panel in PANELS if panel["title"].startswith(title))
    return next(t["expr"] for t in panel["targets"] if t["legendFormat"] == legend)


def expect(directory: Path, expr: str, series: dict[str, str], values: dict[str, float]) -> None:
    """Fail unless the query has these values after two minutes of a sample every 5 s."""
    samples = [{"labels": labels, "value": value} for labels, value in values.items()]
    test = {
        "interval": "5s",
        "input_series": [{"series": name, "values": of} for name, of in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": "2m", "exp_samples": samples}],
    }
    path = directory / "test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    assert "SUCCESS" in promtool("test", "rules", str(path))
