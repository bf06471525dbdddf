"""What a model's own configuration promises."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.contract import Contract, ContractError
from gateway.errors import EdgeLensError
from gateway.image import Pixels, to_tensor
from inference import model_config
from inference.contracts.answer import Answer
from inference.contracts.errors import Deviation
from inference.contracts.variants import variants

# How far a probability may be from the one Keras computed at f32. The server chooses what "auto"
# means, so it is judged like the coarsest.
TOLERANCES = {"f32": 1e-3, "bf16": 0.03, "int8": 0.1}
COARSEST = 0.1


@dataclass(frozen=True)
class Expectation:
    """The contract of one version of a model, and what it must answer about its golden picture."""

    contract: Contract
    input: str
    output: str
    classes: int
    max_batch_size: int
    precision: str
    picture: bytes
    tensor_sha256: str
    label: str
    probability: float
    labels_sha256: str  # empty if the model was exported without it

    @classmethod
    def from_config(cls, config: Mapping[str, Any], version: str) -> "Expectation":
        """Read Triton's model configuration as JSON. Raises Deviation naming what is missing."""
        parameters, contract = model_config.parameters(config), contract_of(config)
        return cls(
            contract=contract,
            input=input_of(config, contract),
            output=(output := _tensor(config, "output", "TYPE_FP32"))["name"],
            classes=_classes(output),
            max_batch_size=int(config.get("max_batch_size", 0)),
            precision=parameters.get("precision") or "auto",
            picture=_picture(_given(parameters, "golden_picture")),
            tensor_sha256=_given(parameters, "golden_tensor_sha256").lower(),
            label=_given(parameters, f"golden_label_v{version}"),
            probability=_number(parameters, f"golden_probability_v{version}"),
            labels_sha256=parameters.get("labels_sha256", "").lower(),
        )

    @property
    def tolerance(self) -> float:
        """Return by how much a probability may deviate at this precision."""
        return TOLERANCES.get(self.precision, COARSEST)

    def gap(self, answer: Answer) -> float:
        """Return by how much an answer's probability of the golden label differs."""
        return abs(answer.score(self.label) - self.probability)

    def tensor(self) -> Pixels:
        """Return the golden picture as the contract says, UINT8 [H,W,3].

        Raises Deviation if it is not the tensor that the model was exported with, and names a known
        mistake.
        """
        found = self._tensor(self.contract)
        if sha256(found) == self.tensor_sha256:
            return found
        for other in variants(self.contract):
            if sha256(self._tensor(other.contract)) == self.tensor_sha256:
                raise Deviation(
                    f"{other.swapped()}, according to config.pbtxt's parameters and the SHA-256 of"
                    " the golden tensor"
                )
        raise Deviation(
            "the golden picture's tensor does not match golden_tensor_sha256, and no usual mistake"
            " explains it: if the parameters are those of the export, an earlier EdgeLens made it,"
            " so export the version again (--version N --force) and restart the server"
        )

    def tensors_gone_wrong(self) -> dict[str, Pixels]:
        """Map each usual mistake to what it makes of the golden picture."""
        return {other.mistake(): self._tensor(other.contract) for other in variants(self.contract)}

    def _tensor(self, contract: Contract) -> Pixels:
        try:
            return to_tensor(self.picture, contract)
        except EdgeLensError as error:
            raise Deviation(f"golden_picture: {error.message}") from None


def contract_of(config: Mapping[str, Any]) -> Contract:
    """Read how a picture becomes the model's input. Raises Deviation."""
    try:
        return Contract.from_parameters(model_config.parameters(config))
    except ContractError as error:
        raise Deviation(str(error)) from None


def input_of(config: Mapping[str, Any], contract: Contract) -> str:
    """Name the input that takes pictures. Raises Deviation if it does not fit the contract."""
    name: str = _tensor(config, "input", "TYPE_UINT8", contract)["name"]
    return name


def _tensor(
    config: Mapping[str, Any], side: str, kind: str, contract: Contract | None = None
) -> Mapping[str, Any]:
    """Find the first input or output and compare its type and, given a contract, its dims."""
    entries = config.get(side, [])
    if not entries:
        raise Deviation(f"the configuration names no {side}")
    entry: Mapping[str, Any] = entries[0]
    found = [int(size) for size in entry.get("dims", [])]
    if entry.get("data_type") != kind or (contract and not contract.fits(found)):
        raise Deviation(
            f"{side} '{entry['name']}' is {entry.get('data_type')} {found}, but the contract says"
            f" {kind} {contract.shape if contract else ''}".rstrip()
        )
    return entry


def _classes(output: Mapping[str, Any]) -> int:
    """Read how many labels a picture may get. Raises Deviation if that is not stated."""
    dims = [int(size) for size in output["dims"]]
    if dims[-1] < 1:
        raise Deviation(
            f"output '{output['name']}' has dims {dims}: give the number of classes in config.pbtxt"
        )
    return dims[-1]


def _given(parameters: Mapping[str, str], name: str) -> str:
    value = parameters.get(name, "")
    if not value:
        raise Deviation(f"config.pbtxt lacks the parameter {name}: nothing to compare with")
    return value


def _number(parameters: Mapping[str, str], name: str) -> float:
    try:
        return float(_given(parameters, name))
    except ValueError:
        raise Deviation(f"parameter {name} is not a number: '{parameters[name][:40]}'") from None


def _picture(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # not base64, or not even ASCII
        raise Deviation("parameter golden_picture is not base64") from None


def sha256(tensor: Pixels) -> str:
    """Return the hexadecimal SHA-256 of a tensor's bytes."""
    return hashlib.sha256(tensor.tobytes()).hexdigest()
