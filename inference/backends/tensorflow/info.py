"""The metric that tells which model, version, engine and precision is loaded."""

import os
from typing import Any

FAMILY = "edgelens_model_info"
HELP = "Loaded models: version, engine, precision and weights; always 1"


def register(pb_utils: Any, labels: dict[str, str]) -> tuple[Any, Any]:
    """Export `edgelens_model_info{...} 1`; keep the result as long as the model is loaded.

    A version that is loaded again registers before its predecessor takes its metric back. Were
    their labels the same, Triton would remove both: so one of them is the process.
    """
    family = pb_utils.MetricFamily(name=FAMILY, description=HELP, kind=pb_utils.MetricFamily.GAUGE)
    metric = family.Metric(labels={**labels, "process": str(os.getpid())})
    metric.set(1)
    return family, metric
