"""What is measured, and how each contender is started."""

import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.exports import LITE0, VGG16
from benchmarks.places import HOME, PEERS
from benchmarks.repositories import FLOAT, Repositories
from benchmarks.servers import Contender

GATEWAY_FLOAT, GATEWAY_INT8 = f"EdgeLens, {FLOAT}", "EdgeLens, int8"
TRITON_FLOAT = f"plain Triton fed tensors, {FLOAT}"
ARTICLE = "article (Flask + Keras predict)"
AS_DOCUMENTED = (
    "Flask + gunicorn, TensorFlow",
    "LitServe, TensorFlow",
    "BentoML, TensorFlow",
    "Ray Serve, TensorFlow",
)
SAME_ENGINE = (
    f"LitServe, OpenVINO {FLOAT}",
    f"BentoML, OpenVINO {FLOAT}",
    f"Ray Serve, OpenVINO {FLOAT}",
    f"Flask + gunicorn, OpenVINO {FLOAT}",
)
PYTHON = str(PEERS / "python")
COMMANDS: Mapping[str, list[str]] = {
    "Flask + gunicorn": [
        *(PYTHON, "-m", "gunicorn", "--config", "benchmarks/peers/gunicorn.conf.py"),
        *("--bind", "127.0.0.1:{port}", "benchmarks.peers.flask_app:app"),
    ],
    "LitServe": [PYTHON, "-m", "benchmarks.peers.litserve_app"],
    "BentoML": [
        *(PYTHON, "-m", "bentoml", "serve", "--host", "127.0.0.1"),
        *("--port", "{port}", "benchmarks.peers.bentoml_app:Classifier"),
    ],
    "Ray Serve": [PYTHON, "-m", "benchmarks.peers.ray_app"],
}
HEALTH = {"LitServe": "/health", "BentoML": "/readyz"}


def field(repositories: Repositories) -> dict[str, list[Contender]]:
    """Return the contenders of each model, in the order in which they take turns."""

    def peers(model: str, names: tuple[str, ...]) -> list[Contender]:
        return [peer(name, repositories, model) for name in names]

    return {
        VGG16: [
            edgelens(GATEWAY_FLOAT, repositories, VGG16, FLOAT),
            *peers(VGG16, SAME_ENGINE),
            edgelens(GATEWAY_INT8, repositories, VGG16, "int8"),
            *peers(VGG16, AS_DOCUMENTED),
            article(repositories),
        ],
        LITE0: [
            edgelens(GATEWAY_FLOAT, repositories, LITE0, FLOAT),
            *peers(LITE0, SAME_ENGINE),
        ],
    }


def edgelens(
    name: str, repositories: Repositories, model: str, precision: str, cache: bool = False
) -> Contender:
    """EdgeLens as `make serve` runs it; a load that repeats pictures needs the cache off."""
    environment = {"MODEL_REPOSITORY": str(repositories.of(model, precision)), "MODEL": model}
    if not cache:
        environment["TRITON_CACHE_BYTES"] = "0"
    command = [sys.executable, "serve.py"]
    return Contender(name, command, "/v1/classify", health="/readyz", environment=environment)


def peer(name: str, repositories: Repositories, model: str) -> Contender:
    """A peer that serves the same SavedModel; its name states the engine and its precision."""
    product, engine = name.split(", ")
    environment = _environment(repositories.labels(model)) | {
        "BENCH_SAVED_MODEL": str(repositories.saved_model(model)),
        "BENCH_ENGINE": engine,
    }
    health = HEALTH.get(product, "/healthz")
    return Contender(name, COMMANDS[product], "/predict", health, environment)


def article(repositories: Repositories) -> Contender:
    """The article's app: Keras in the web process."""
    command = [PYTHON, "-m", "benchmarks.peers.article"]
    return Contender(
        ARTICLE, command, "/predict", environment=_environment(repositories.labels(VGG16))
    )


def _environment(labels: Path) -> dict[str, str]:
    return {
        "BENCH_LABELS": str(labels),
        "PYTHONPATH": str(HOME),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
