"""Export one version of a model: weights in, a directory that Triton can load out."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter import savedmodel
from exporter.architectures import INPUT, OUTPUT, ModelSpec
from exporter.companions import write_companions
from exporter.config import (
    LABEL_FILE,
    about_version,
    classifier_config,
    contract_in,
    read_config,
    served_version,
    serving,
)
from exporter.errors import ExportError
from exporter.golden import Golden, golden_of, golden_tensor
from exporter.host_configs import amend_host_configs
from exporter.job import Job
from exporter.keras_file import ADDED_SOFTMAX
from exporter.labels import labels_for, read_labels
from exporter.normalisation import normalise
from exporter.progress import steps
from exporter.sources import Source, load
from exporter.target import STAGED, Target, plan, publish, reserved, staging
from gateway.contract import Contract
from gateway.model_names import companions
from inference.backends.tensorflow.location import SAVED_MODEL
from inference.deployment.memory import size_of
from inference.label_file import label_text
from inference.pbtxt import with_parameters
from inference.repository import configurations_in, versions_in
from inference.writing import write_text

TOLERANCE = 1e-4  # between Keras and the SavedModel, in probability: rounding alone makes 2e-5


def export(job: Job) -> str:
    """Write the version and whatever its model lacks; return what to tell the user.

    An ExportError leaves nothing to load.
    """
    versions = versions_in(job.repository / job.model)
    target = plan(job.repository, job.model, job.version, job.force)
    with steps(f"exporting {job.model}", 4) as begin:
        begin("weights")
        replaceable = _is_replaceable(target, job.force)
        _require_readable(target)
        if job.labels and not replaceable:  # before minutes are spent on the weights
            _require_same_labels(target, read_labels(job.labels))
        source = load(job)
        labels = labels_for(source.classes, job.labels)
        fresh = replaceable and _needs_new_texts(target, source.spec, labels)
        if not fresh:
            _require_same_labels(target, labels)
        contract = _contract(target, source.spec, fresh)
        with staging(job.repository) as stage:
            staged = stage / STAGED
            begin("writing")
            savedmodel.write(source.model, source.spec, staged / SAVED_MODEL)
            begin("checking")
            golden = _checked(source, staged / SAVED_MODEL, contract, labels)
            begin("moving into place")
            with reserved(target, versions):
                _write_texts(target, source, labels, golden, fresh)
                publish(staged, target)
                write_companions(target, contract, labels, anew=fresh)
    return _report(target, source, golden, _what_next(target, target.version in versions))


def _report(target: Target, source: Source, golden: Golden, what_next: str) -> str:
    path, side = target.version_dir / SAVED_MODEL, source.spec.size
    return (
        f"{path} ({size_of(path) / 1e6:.0f} MB)\n"
        f"  input   {INPUT}: UINT8 [N,{side},{side},3], RGB\n"
        f"  the first layer gets {source.spec.normalisation}\n"
        f"  output  {OUTPUT}: FP32 [N,{source.classes}]{_added(source)}\n"
        f"  golden picture: {golden.label} ({golden.probability:.2%})\n"
        f"  {what_next}"
    )


def _added(source: Source) -> str:
    """Name a softmax that the user's model does not end in: it suits a single right label only."""
    if source.model.layers[-1].name != ADDED_SOFTMAX:
        return ""
    return (
        ", by a softmax that was added to the model's own output; if several labels may be right"
        " at once, end it in a sigmoid"
    )


def _what_next(target: Target, replaced: bool) -> str:
    served = served_version(target.model_dir / "config.pbtxt")
    if served == target.version and replaced:
        return "a server that is already running serves it after a restart"
    deploy = f"`make deploy MODEL={target.model} VERSION={target.version}`"
    if served == target.version:
        return (
            f"the next start serves it; {deploy} brings it into a server that is already running"
            " (in containers: deploy/README.md)"
        )
    deploy += " tests it"
    if served is None:
        return (
            "any start may serve it untested, because version_policy in config.pbtxt lists no"
            f" versions: {deploy} first, and lists it"
        )
    return (
        f"not in service yet: {deploy} beside the current version, then switches to it"
        " (in containers: deploy/README.md)"
    )


def _require_readable(target: Target) -> None:
    """Fail before minutes are spent if a config.pbtxt to be amended is broken."""
    for name in (target.model, *companions(target.model)):
        for path in configurations_in(target.repository / name):
            read_config(path)


def _is_replaceable(target: Target, force: bool) -> bool:
    """Say whether no other version needs config.pbtxt and labels.txt to stay as they are."""
    new = not (target.model_dir / "config.pbtxt").exists()
    return new or (force and not _others(target))


def _others(target: Target) -> set[int]:
    """Name the model's other versions."""
    return set(versions_in(target.model_dir)) - {target.version}


def _needs_new_texts(target: Target, spec: ModelSpec, labels: list[str]) -> bool:
    """Say whether the model has no config.pbtxt, or one that cannot be kept with its comments."""
    path = target.model_dir / "config.pbtxt"
    if not path.exists() or _has_other_labels(target, labels):
        return True
    return not _fits(contract_in(path, spec.contract), spec)


def _fits(contract: Contract, spec: ModelSpec) -> bool:
    return (contract.width, contract.height) == (spec.size, spec.size)


def _has_other_labels(target: Target, labels: list[str]) -> bool:
    path = target.model_dir / LABEL_FILE
    return path.exists() and read_labels(path) != labels


def _require_same_labels(target: Target, labels: list[str]) -> None:
    if _has_other_labels(target, labels):
        raise ExportError(
            f"{target.model_dir / LABEL_FILE} and these weights have different labels, but all "
            "versions of a model share them; give these a --name of their own, or replace the only "
            "version with --version N --force"
        )


def _contract(target: Target, spec: ModelSpec, fresh: bool) -> Contract:
    """Return the contract that applies: of an existing config.pbtxt, else of the architecture."""
    path = target.model_dir / "config.pbtxt"
    contract = spec.contract if fresh else contract_in(path, spec.contract)
    if not _fits(contract, spec):
        raise ExportError(
            f"{path} says {contract.width}x{contract.height} pixels but these weights take "
            f"{spec.size}x{spec.size}; give these a --name of their own"
        )
    return contract


def _checked(source: Source, path: Path, contract: Contract, labels: list[str]) -> Golden:
    """Compare the SavedModel on disk with Keras, on the golden picture."""
    tensor = golden_tensor(contract)
    expected = _keras(source, tensor[np.newaxis])[0]
    answered = savedmodel.classify(path, tensor[np.newaxis])[0]
    if not (expected.min() >= -TOLERANCE and expected.max() <= 1 + TOLERANCE):  # or NaN
        raise ExportError(
            f"the model answers {expected.min():.3g} to {expected.max():.3g}, which are not"
            " probabilities; end it with a softmax or a sigmoid; nothing was written"
        )
    difference = float(np.abs(expected - answered).max())
    if not difference < TOLERANCE:
        raise ExportError(
            f"the SavedModel differs from Keras by {difference:.1e}; nothing was written"
        )
    return golden_of(tensor, expected, labels)


def _keras(source: Source, tensors: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return np.asarray(source.model(normalise(tensors, source.spec), training=False))


def _write_texts(
    target: Target, source: Source, labels: list[str], golden: Golden, fresh: bool
) -> None:
    """Write labels.txt if it is missing, and config.pbtxt with this version's parameters."""
    label_file = target.model_dir / LABEL_FILE
    if fresh or not label_file.exists():
        write_text(label_file, label_text(labels))
    config = target.model_dir / "config.pbtxt"
    if fresh:
        text = classifier_config(target.model, source.spec, source.classes)
    else:
        text = read_config(config)
    others = _others(target)
    if fresh or not others:
        text = serving(text, max(others, default=target.version))
    added = about_version(target.version, source.weights, golden)
    write_text(config, with_parameters(text, added))
    amend_host_configs(target.model_dir, added, anew=fresh or not others)
