"""The two engines that a peer can run the SavedModel with."""

from collections.abc import Callable

import numpy as np

from benchmarks.peers.pictures import ENGINE, MAX_BATCH, PRECISION, SAVED_MODEL

Model = Callable[[np.ndarray], np.ndarray]


def load() -> Model:
    """Return a function from UINT8 [N,224,224,3] to probabilities FP32 [N,classes]."""
    return {"tensorflow": _tensorflow, "openvino": _openvino}[ENGINE]()


def _tensorflow() -> Model:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(SAVED_MODEL))
    signature = loaded.signatures["serving_default"]

    def run(pictures: np.ndarray) -> np.ndarray:
        return signature(image=tf.constant(pictures))["probabilities"].numpy()

    run.keep = loaded
    return run


def _openvino() -> Model:
    import openvino as ov

    int8 = SAVED_MODEL.parent / "model.int8.xml"
    core = ov.Core()
    model = core.read_model(int8 if PRECISION == "int8" else SAVED_MODEL)
    model.reshape([-1, 224, 224, 3])
    hint = {"f32": "f32", "bf16": "bf16", "int8": "bf16"}[PRECISION]
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint}
    compiled = core.compile_model(model, "CPU", options)

    def run(pictures: np.ndarray) -> np.ndarray:
        return compiled(pictures[:MAX_BATCH])[0]

    return run
