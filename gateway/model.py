"""A served classifier, as its own configuration in Triton describes it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_FP64, TYPE_UINT8

from gateway.contract import Contract, ContractError
from gateway.model_names import companions, is_apart, is_companion


@dataclass(frozen=True)
class Model:
    """One version of a classifier and everything needed to ask it."""

    name: str
    version: str
    contract: Contract
    input_name: str
    output_name: str
    max_batch_size: int
    classes: int
    parameters: Mapping[str, str]
    engine: str = ""
    precision: str = ""

    @property
    def weights(self) -> str:
        """Return where the weights come from: imagenet, random, file:<name> or unknown."""
        return self.weights_of(self.version)

    def weights_of(self, version: str) -> str:
        """Return where another version's weights come from; Triton has one configuration for all.

        Plain `weights` describes the newest export, so it says nothing about a version that was
        loaded after this configuration was read.
        """
        newest = self.parameters.get("weights") if version == self.version else None
        return self.parameters.get(f"weights_v{version}") or newest or "unknown"

    @property
    def golden_picture(self) -> bytes:
        """Return the encoded golden picture, b"" if the configuration carries none."""
        try:
            return base64.b64decode(self.parameters.get("golden_picture", ""), validate=True)
        except ValueError:  # not base64, or not even ASCII
            return b""

    def as_json(self) -> dict[str, Any]:
        """Return what the API says about this version."""
        return {
            "weights": self.weights,
            "engine": self.engine or self.parameters.get("engine", "unknown"),
            "precision": self.precision or self.parameters.get("precision", "unknown"),
            "classes": self.classes,
            "input": {"width": self.contract.width, "height": self.contract.height},
        }


def model_from_config(config: Any, version: str, info: Mapping[str, str]) -> Model | None:
    """Read Triton's ModelConfig message; None for a model that people do not choose.

    `info` holds the labels of the backend's `edgelens_model_info`. Raises ContractError.
    """
    if is_apart(config.name):
        return None
    if is_companion(config.name):
        _require_companion(config.input)
        return None
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    contract = Contract.from_parameters(parameters)
    _require_input(config.input, contract)
    return Model(
        name=config.name,
        version=version,
        contract=contract,
        input_name=config.input[0].name,
        output_name=config.output[0].name,
        max_batch_size=config.max_batch_size,
        classes=_classes(config.output),
        parameters=parameters,
        engine=info.get("engine", ""),
        precision=info.get("precision", ""),
    )


def _require_companion(inputs: Any) -> None:
    """Raise ContractError for a classifier that its own name would hide."""
    if inputs and inputs[0].data_type == TYPE_UINT8:
        raise ContractError(
            f"Names that end in {' or '.join(companions(''))} belong to the models beside a"
            " classifier; give it another name."
        )


def _require_input(inputs: Any, contract: Contract) -> None:
    """Raise ContractError unless the model takes what this gateway sends."""
    if any(not other.optional for other in inputs[1:]):
        raise ContractError("The model needs more inputs than the picture.")
    for given in inputs[:1]:
        if contract.fits(given.dims) and given.data_type == TYPE_UINT8:
            return
    raise ContractError(
        "By its own contract, the model's first input must be TYPE_UINT8 with dims"
        f" {contract.shape}."
    )


def _classes(outputs: Any) -> int:
    """Return how many classes the first output has, a thousand if that is not stated.

    Raises ContractError unless it can hold probabilities, one for each class.
    """
    for given in outputs[:1]:
        *others, classes = given.dims or [-1]
        if given.data_type in (TYPE_FP32, TYPE_FP64) and all(size == 1 for size in others):
            return classes if classes > 0 else 1000
    raise ContractError(
        "The first output in the model's configuration must be its probabilities: TYPE_FP32, with"
        " the number of classes as its only dim."
    )
