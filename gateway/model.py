"""A served classifier, as its own configuration in Triton describes it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.contract import Contract
from gateway.errors import ContractError

HIDDEN_SUFFIXES = ("_image", "_decode", "_candidate")


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
        """Return where the weights come from: imagenet, random or file:<name>."""
        return self.weights_of(self.version)

    def weights_of(self, version: str) -> str:
        """Return where another version's weights come from; Triton has one configuration for all.

        `weights` alone belongs to the newest export, so it says nothing of a version that was
        loaded after this configuration was read.
        """
        newest = self.parameters.get("weights") if version == self.version else None
        return self.parameters.get(f"weights_v{version}") or newest or "unknown"

    @property
    def golden_picture(self) -> bytes:
        """Return the encoded golden picture, b"" if the configuration carries none."""
        try:
            return base64.b64decode(self.parameters.get("golden_picture", ""), validate=True)
        except ValueError:  # no base64, or not even ASCII
            return b""

    def as_json(self) -> dict[str, Any]:
        """Return what the API tells of this version."""
        return {
            "weights": self.weights,
            "engine": self.engine or self.parameters.get("engine", "unknown"),
            "precision": self.precision or self.parameters.get("precision", "unknown"),
            "classes": self.classes,
            "input": {"width": self.contract.width, "height": self.contract.height},
        }


def model_from_config(config: Any, version: str, info: Mapping[str, str]) -> Model | None:
    """Read Triton's ModelConfig message; None for what is no classifier of pictures.

    `info` are the labels of the backend's `edgelens_model_info`. Raises ContractError.
    """
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    if config.name.endswith(HIDDEN_SUFFIXES) or "width" not in parameters:
        return None
    if not config.input or not config.output:
        raise ContractError(f"{config.name}: its configuration names no input or no output")
    dims = list(config.output[0].dims)
    return Model(
        name=config.name,
        version=version,
        contract=Contract.from_parameters(parameters),
        input_name=config.input[0].name,
        output_name=config.output[0].name,
        max_batch_size=config.max_batch_size,
        classes=dims[-1] if dims and dims[-1] > 0 else 1000,
        parameters=parameters,
        engine=info.get("engine", ""),
        precision=info.get("precision", ""),
    )
