"""The metric that tells which model, version, engine and precision is loaded."""

from typing import Any

FAMILY = "edgelens_model_info"
HELP = "Loaded models: version, engine, precision and weights; always 1"


def register(pb_utils: Any, labels: dict[str, str]) -> tuple[Any, Any]:
    """Export `edgelens_model_info{...} 1`; keep the result as long as the model is loaded."""
    family = pb_utils.MetricFamily(name=FAMILY, description=HELP, kind=pb_utils.MetricFamily.GAUGE)
    metric = family.Metric(labels=labels)
    metric.set(1)
    return family, metric
