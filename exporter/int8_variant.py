"""An int8 variant of an exported model, by NNCF's post-training quantisation."""

import itertools
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import numpy.typing as npt
import openvino
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from openvino._offline_transformations import apply_moc_transformations
from tqdm import tqdm

from exporter.architectures import OUTPUT
from exporter.config import contract_in, read_config
from exporter.errors import ExportError
from exporter.pictures import Tensors, files_in, read_pictures
from exporter.target import staging
from inference.backends.tensorflow.errors import reason
from inference.backends.tensorflow.location import SAVED_MODEL
from inference.backends.tensorflow.precision import INT8_MODEL, INT8_WEIGHTS
from inference.pbtxt import parameters, parse
from inference.writing import flush

BATCH = 8
CONVOLUTIONS = ("Convolution", "GroupConvolution")

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Agreement:
    """How an int8 model compares with float32 on pictures it was not calibrated with."""

    pictures: int
    labels: int  # that float32 gives them: with a single one, agreement says little
    top1: float
    mean_difference: float

    def __str__(self) -> str:
        top1 = math.floor(self.top1 * 1000) / 10  # rounded down: what is too little must look so
        return (
            f"top-1 agreement with f32 {top1:.1f}%, mean |dp| {self.mean_difference:.2e} "
            f"on {self.pictures} held-out pictures with {self.labels} different labels"
        )


def quantize(version_dir: Path, pictures: Path, minimum: float) -> str:
    """Write the int8 variant beside the SavedModel; return what to tell the user.

    Every second picture calibrates, the others are held out. Raises ExportError, having written
    nothing, if the best label agrees with float32's on less than `minimum` of those.
    """
    config = version_dir.parent / "config.pbtxt"
    contract = contract_in(config)
    files = files_in(pictures)
    tensors = read_pictures(files, contract)
    core = openvino.Core()
    full = _read(core, version_dir / SAVED_MODEL)
    # Folds batch normalisation into the convolutions: only their own biases can be corrected.
    apply_moc_transformations(full, cf=False)
    small = _quantized(full, tensors[::2])
    agreement = compare(core, full, small, tensors[1::2], _output(config))
    if agreement.top1 < minimum:
        raise ExportError(
            f"int8 is not good enough: {agreement}, but {100 * minimum:g}% is required; nothing "
            "was written (give more pictures like those to be classified, or lower --min-agreement)"
        )
    _save(small, version_dir)
    out = len(files) - len(tensors)
    without = f"; {out} of {len(files)} files skipped, not pictures" if out else ""
    return f"{version_dir / INT8_MODEL}: {agreement}{without}\n  {_what_next(version_dir)}"


def _what_next(version_dir: Path) -> str:
    model, version = version_dir.parent.name, version_dir.name
    if f"golden_label_v{version}" not in parameters(
        read_config(version_dir.parent / "config.pbtxt")
    ):
        return "a server that is already running uses it after a restart"
    return (
        f"`make deploy MODEL={model} VERSION={version}` brings it into a server that is already"
        " running (in containers: deploy/README.md)"
    )


def _read(core: Any, path: Path) -> Any:
    try:
        return core.read_model(path)
    except RuntimeError as error:
        raise ExportError(f"OpenVINO cannot read {path}: {reason(error)}") from error


def _output(config: Path) -> str:
    """Name the output with the probabilities; a SavedModel may have others before it."""
    stated = parse(read_config(config)).output
    return stated[0].name if stated else OUTPUT


def compare(core: Any, full: Any, small: Any, tensors: Tensors, output: str = OUTPUT) -> Agreement:
    """Run both models on `tensors` and say how far they agree."""
    expected = _classify(core, full, tensors, output, "f32 on held-out pictures")
    answered = _classify(core, small, tensors, output, "int8 on held-out pictures")
    best = expected.argmax(axis=1)
    return Agreement(
        pictures=len(tensors),
        labels=len(np.unique(best)),
        top1=float((best == answered.argmax(axis=1)).mean()),
        mean_difference=float(np.abs(expected - answered).mean()),
    )


def _quantized(full: Any, tensors: Tensors) -> Any:
    """Return the model in int8, except its stem, with the ranges that lose least over all values.

    With EfficientNet-Lite0, leaving out the stem halves the mean |dp| of NNCF's defaults at the
    same speed, and the ranges take a tenth off the rest: 96 of 98 held-out pictures agree, not 94
    or 95.
    """
    nncf.set_log_level(logging.ERROR)
    pictures = [tensor[np.newaxis] for tensor in tensors]
    return nncf.quantize(
        full.clone(),
        nncf.Dataset(pictures),
        subset_size=len(pictures),
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=_stem(full)),
        advanced_parameters=AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.HISTOGRAM
        ),
    )


def _stem(model: Any) -> list[str]:
    """Name the first convolution and the depthwise ones that directly follow it.

    They are little of the work, and all other layers inherit what is lost there.
    """
    layers = [op for op in model.get_ordered_ops() if op.get_type_name() in CONVOLUTIONS]
    others = itertools.takewhile(lambda op: op.get_type_name() == "GroupConvolution", layers[1:])
    return [op.get_friendly_name() for op in (*layers[:1], *others)]


def _classify(core: Any, model: Any, tensors: Tensors, output: str, title: str) -> Probabilities:
    """Return what a model answers, FP32 [N,classes]; all but int8 layers compute at float32."""
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    starts = tqdm(range(0, len(tensors), BATCH), desc=title, disable=None, leave=False)
    return np.concatenate([compiled(tensors[start : start + BATCH])[output] for start in starts])


def _save(model: Any, version_dir: Path) -> None:
    """Move both files into place; the .xml comes last, because the backend looks for that."""
    with staging(version_dir.parents[1]) as stage:
        try:
            openvino.save_model(model, stage / INT8_MODEL, compress_to_fp16=False)
        except RuntimeError as error:  # it does not say which
            raise OSError("the disk is full, or fails") from error
        flush(stage / INT8_WEIGHTS)
        flush(stage / INT8_MODEL)
        (version_dir / INT8_MODEL).unlink(missing_ok=True)
        (stage / INT8_WEIGHTS).replace(version_dir / INT8_WEIGHTS)
        (stage / INT8_MODEL).replace(version_dir / INT8_MODEL)
