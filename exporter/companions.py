"""The decoder and the ensemble beside a classifier: written with it, or later what is missing."""

from pathlib import Path

from exporter.config import LABEL_FILE, contract_in, served_version
from exporter.ensemble import decode_config, ensemble_config
from exporter.labels import read_labels
from exporter.pbtxt import written_parameters
from exporter.repository import Target, versions
from gateway.contract import Contract
from inference.repository import companions, decode_name, ensemble_name
from inference.writing import write_text

SIGN = "golden_tensor_sha256"  # only the exporter writes this into a config.pbtxt


def write_companions(target: Target, contract: Contract, labels: list[str]) -> None:
    """Write the decoder, then the ensemble that needs it and the classifier.

    The ensemble bears the number of the classifier's version that serves.
    """
    repository, model = target.repository, target.model
    decode = repository / decode_name(model)
    write_text(decode / "config.pbtxt", decode_config(model, contract))
    (decode / "1").mkdir(exist_ok=True)
    ensemble = repository / ensemble_name(model)
    served = served_version(target.model_dir / "config.pbtxt") or target.version
    write_text(ensemble / LABEL_FILE, "\n".join(labels) + "\n")
    write_text(ensemble / "config.pbtxt", ensemble_config(model, len(labels), served))
    (ensemble / str(served)).mkdir(exist_ok=True)


def complete(repository: Path, model: str) -> None:
    """Write the companions that an export did not come to because it was killed.

    A model that the exporter did not write has none. Raises ExportError for a contract or labels
    that cannot be read, OSError where nothing can be written.
    """
    if all(versions(repository / name) for name in companions(model)):  # it is made last
        return
    config = repository / model / "config.pbtxt"
    if config.is_file() and SIGN in written_parameters(config.read_text(encoding="utf-8")):
        labels = read_labels(repository / model / LABEL_FILE)
        newest = Target(repository, model, max(versions(repository / model)))
        write_companions(newest, contract_in(config), labels)
