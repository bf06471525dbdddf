"""The decoder and the ensemble beside a classifier: written with it, or completed later."""

from pathlib import Path

from exporter.config import LABEL_FILE, contract_in, read_config, served_version, serving
from exporter.ensemble import decode_config, ensemble_config
from exporter.labels import read_labels
from exporter.repository import Target
from gateway.contract import Contract
from gateway.model_names import companions, decode_name, ensemble_name
from inference.label_file import label_text
from inference.pbtxt import parameters, with_parameters
from inference.repository import versions_in
from inference.writing import write_text

SIGN = "golden_tensor_sha256"  # only the exporter writes this into a config.pbtxt


def write_companions(
    target: Target, contract: Contract, labels: list[str], anew: bool = False
) -> None:
    """Write the decoder, then the ensemble that needs it and the classifier.

    Unless they are made `anew`, existing ones keep all but the decoder's contract. A new ensemble,
    or one whose classifier has no other version, gets the number of the classifier's version that
    serves. Any other ensemble keeps the number that `make deploy` gave it.
    """
    repository, model = target.repository, target.model
    decode = repository / decode_name(model)
    config = decode / "config.pbtxt"
    if anew or not config.exists():
        write_text(config, decode_config(model, contract))
    else:
        write_text(config, with_parameters(read_config(config), contract.as_parameters()))
    (decode / "1").mkdir(exist_ok=True)
    ensemble = repository / ensemble_name(model)
    config = ensemble / "config.pbtxt"
    served = served_version(target.model_dir / "config.pbtxt") or target.version
    if anew or not config.exists():
        write_text(ensemble / LABEL_FILE, label_text(labels))
        write_text(config, ensemble_config(model, len(labels), served))
    elif versions_in(target.model_dir) == [target.version]:
        write_text(config, serving(read_config(config), served))
    (ensemble / str(served_version(config) or served)).mkdir(exist_ok=True)


def complete(repository: Path, model: str) -> None:
    """Write the companions that are missing because an export was killed.

    A model that the exporter did not write has none. Raises ExportError for a contract or labels
    that cannot be read, OSError if nothing can be written.
    """
    if all(versions_in(repository / name) for name in companions(model)):  # made last
        return
    config = repository / model / "config.pbtxt"
    if config.is_file() and SIGN in parameters(read_config(config)):
        labels = read_labels(repository / model / LABEL_FILE)
        newest = Target(repository, model, max(versions_in(repository / model)))
        write_companions(newest, contract_in(config), labels)
