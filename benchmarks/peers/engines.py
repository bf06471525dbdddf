"""The two engines that a peer can run the SavedModel with."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

SAVED_MODEL = Path(os.environ.get("BENCH_SAVED_MODEL", "."))
ENGINE = os.environ.get("BENCH_ENGINE", "TensorFlow")
# Half of the sixteen clients: while one batch is computed, the next is collected and decoded.
MAX_BATCH = 8

Model = Callable[[np.ndarray], np.ndarray]


def load(batched: bool = True) -> Model:
    """Return a function from UINT8 [N,224,224,3] to probabilities FP32 [N,classes].

    `batched=False` is for servers whose threads call it concurrently.
    """
    model = _tensorflow() if ENGINE == "TensorFlow" else _openvino(batched)
    # The first inference of a shape compiles or packs: no client should wait for that.
    for size in (1, MAX_BATCH) if batched else (1,):
        model(np.zeros((size, 224, 224, 3), np.uint8))
    return model


def _tensorflow() -> Model:
    """Load and call the SavedModel as https://www.tensorflow.org/guide/saved_model does."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(SAVED_MODEL))
    signature = loaded.signatures["serving_default"]

    def run(pictures: np.ndarray) -> np.ndarray:
        return signature(image=tf.constant(pictures))["probabilities"].numpy()

    run.keep = loaded
    return run


def _openvino(batched: bool) -> Model:
    """Compile as OpenVINO's documentation advises for one request at a time, or for many.

    https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/high-level-performance-hints.html
    """
    import openvino as ov

    core = ov.Core()
    model = core.read_model(SAVED_MODEL)
    model.reshape([-1, 224, 224, 3])
    options = {
        "PERFORMANCE_HINT": "LATENCY" if batched else "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": ENGINE.split()[-1],
    }
    compiled = core.compile_model(model, "CPU", options)
    own = threading.local()

    def run(pictures: np.ndarray) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        return own.request.infer(pictures, share_inputs=True)[0]

    return run
