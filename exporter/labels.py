"""Label files: one class per line, in the order of the model's outputs."""

import csv
from pathlib import Path

from exporter.errors import ExportError

IMAGENET = Path(__file__).parent / "imagenet_classes.csv"


def imagenet_labels() -> list[str]:
    """Return `<wnid> <name>` of the 1,000 classes; the wnid tells two of the same name apart."""
    with IMAGENET.open(newline="", encoding="utf-8") as file:
        return [f"{row['wnid']} {row['names'].split(', ')[0]}" for row in csv.DictReader(file)]


def read_labels(path: Path) -> list[str]:
    """Return the lines of a label file; ExportError if it is not one, or has an empty line."""
    try:
        labels = [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
    except OSError as error:
        raise ExportError(f"cannot read the labels in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ExportError(f"the labels in {path} are not UTF-8 text; save them as UTF-8") from error
    while labels and not labels[-1]:  # empty lines at the end name nothing
        labels.pop()
    if not labels or "" in labels:
        line = labels.index("") + 1 if labels else 1
        raise ExportError(f"line {line} of {path} is empty; give one label per line")
    if path.suffix.lower() == ".csv" and all("," in label for label in labels):
        raise ExportError(f"{path} is a table; give one label per line, and nothing else there")
    return labels


def labels_for(classes: int, path: Path | None) -> list[str]:
    """Return the labels of a model with that many outputs; ExportError if they do not fit."""
    labels = read_labels(path) if path else imagenet_labels()
    if len(labels) == classes:
        return labels
    single = " (of a single output: what 0 means, then what 1 means)" if classes == 2 else ""
    if path is None:
        raise ExportError(
            f"the weights have {classes} classes, not ImageNet's {len(labels)}; "
            f"name them with --labels FILE, one label per line{single}"
        )
    raise ExportError(
        f"{path} has {len(labels)} label{'s' * (len(labels) != 1)} but the weights have {classes}"
        f" classes; give one label per line, in the order of the model's outputs{single}"
    )
