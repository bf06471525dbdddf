"""The command line of the exporter. TensorFlow is imported only where something is exported."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter import deferred
from exporter.architectures import ARCHITECTURES
from exporter.default import ensure_default
from exporter.errors import ExportError
from exporter.interruption import interruptible
from exporter.job import Job
from exporter.quantization import quantize_existing, quantize_version
from gateway.model_names import classifier_name
from gateway.setting import SettingError, argument, given, number, whole
from gateway.terminal import say
from inference.settings import repository_dir

MINIMUM_AGREEMENT = 0.95


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the exporter; return its exit status, 1 for an error that the user can fix."""
    options = _parser().parse_args(arguments)
    try:
        options.repository = options.repository or repository_dir(os.environ)
        with interruptible():
            _run(options)
    except (ExportError, SettingError) as error:
        print(f"export_model: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("export_model: interrupted; nothing was left half-written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="export_model.py",
        description="Write a model into the repository that Triton serves.",
        epilog="Example: "
        "python3 export_model.py vgg16 --weights my_vgg16.keras --labels my_labels.txt",
    )
    _add_export(parser)
    _add_quantisation(parser)
    _add_actions(parser)
    return parser


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", type=argument(_architecture), help="see --list"
    )
    parser.add_argument(
        "--weights",
        metavar="imagenet|random|FILE",
        help="default: imagenet; FILE is .keras, .h5, .weights.h5, or .pth for efficientnet_lite0",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="plain text, one label per line, in the order of the outputs; a model with a single "
        "output has two labels: what 0 means, then what 1 means",
    )
    parser.add_argument(
        "--name",
        type=argument(classifier_name),
        help="what to call the model in the repository (default: MODEL)",
    )
    parser.add_argument(
        "--version",
        type=argument(whole(1)),
        help="default: the next free number, but the newest version for --quantize",
    )
    parser.add_argument(
        "--repository",
        type=Path,
        metavar="DIR",
        help="default: $MODEL_REPOSITORY, else model_repository",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing version")


def _add_quantisation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quantize",
        type=Path,
        metavar="DIR",
        help="add an int8 variant to the version, calibrated on the pictures in DIR; "
        "the model is exported first only if it is missing, and needs no MODEL if it is there "
        "under a --name",
    )
    parser.add_argument(
        "--min-agreement",
        type=argument(number(0, 1)),
        metavar="SHARE",
        default=MINIMUM_AGREEMENT,
        help="refuse an int8 variant whose top-1 agreement is lower (default: %(default)s)",
    )


def _add_actions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("--list", action="store_true", help="list the models and exit")
    actions.add_argument(
        "--default",
        action="store_true",
        help="export a model for `make serve` unless there is one: vgg16 with ImageNet weights, "
        "or efficientnet_lite0 if those cannot be fetched; $WEIGHTS (a file, or random) adds a "
        "missing vgg16",
    )


def _architecture(text: str) -> str:
    if text not in ARCHITECTURES:
        raise ValueError(
            f"give one of {', '.join(ARCHITECTURES)}; a name of your own is --name (with make:"
            " MODEL_NAME=)"
        )
    return text


def _run(options: argparse.Namespace) -> None:
    if options.list:
        for spec in ARCHITECTURES.values():
            say(f"{spec.name:20} {spec.size}x{spec.size}  {spec.about}")
    elif options.default:
        ensure_default(options.repository, given(os.environ, "WEIGHTS"))
    elif options.model is None and _only_quantises(options):
        model_dir = options.repository / options.name
        quantize_existing(model_dir, options.version, options.quantize, options.min_agreement)
    elif options.model is None:
        raise ExportError(f"name a model: {', '.join(ARCHITECTURES)}")
    elif options.quantize:
        quantize_version(_job(options), options.weights, options.quantize, options.min_agreement)
    else:
        say(deferred.export(_job(options)))


def _only_quantises(options: argparse.Namespace) -> bool:
    """Tell whether what is asked concerns a version that is there: nothing describes another."""
    of_export = options.weights or options.labels or options.force
    return bool(options.quantize and options.name and not of_export)


def _job(options: argparse.Namespace) -> Job:
    return Job(
        spec=ARCHITECTURES[options.model],
        weights=options.weights or "imagenet",
        repository=options.repository,
        labels=options.labels,
        version=options.version,
        force=options.force,
        name=options.name,
    )
