"""The decoder and the ensemble beside a classifier: written with it, or later what is missing."""

from pathlib import Path

from exporter.config import LABEL_FILE, contract_in
from exporter.ensemble import decode_config, ensemble_config
from exporter.labels import read_labels
from exporter.pbtxt import written_parameters
from gateway.contract import Contract
from inference.repository import companions, decode_name, ensemble_name
from inference.writing import write_text

SIGN = "golden_tensor_sha256"  # only the exporter writes this into a config.pbtxt


def write_companions(repository: Path, model: str, contract: Contract, labels: list[str]) -> None:
    """Write the decoder, then the ensemble that needs it and the classifier."""
    decode = repository / decode_name(model)
    write_text(decode / "config.pbtxt", decode_config(model, contract))
    (decode / "1").mkdir(exist_ok=True)
    ensemble = repository / ensemble_name(model)
    write_text(ensemble / LABEL_FILE, "\n".join(labels) + "\n")
    write_text(ensemble / "config.pbtxt", ensemble_config(model, len(labels)))
    (ensemble / "1").mkdir(exist_ok=True)


def complete(repository: Path, model: str) -> None:
    """Write the companions that an export did not come to because it was killed.

    A model that the exporter did not write has none. Raises ExportError for a contract or labels
    that cannot be read, OSError where nothing can be written.
    """
    if all((repository / name / "1").is_dir() for name in companions(model)):  # it is made last
        return
    config = repository / model / "config.pbtxt"
    if config.is_file() and SIGN in written_parameters(config.read_text(encoding="utf-8")):
        labels = read_labels(repository / model / LABEL_FILE)
        write_companions(repository, model, contract_in(config), labels)
