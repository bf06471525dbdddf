"""Makes a small inference request for any model from its configuration.

A tensor of zeros shows as well as a picture whether Triton, the model's process and the engine
still work. Whether the answers are right is checked with the golden picture where that can change:
by the exporter, by a deployment and by `make selftest`. Checking it here would turn a translated
label file into an outage, and decoding pictures would more than double the launcher's memory.
"""

import base64
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from gateway.model_names import companions
from inference import model_config

ConfigOf = Callable[[str], Mapping[str, Any]]

_ITEM_BYTES = {
    "TYPE_BOOL": 1, "TYPE_UINT8": 1, "TYPE_UINT16": 2, "TYPE_UINT32": 4, "TYPE_UINT64": 8,
    "TYPE_INT8": 1, "TYPE_INT16": 2, "TYPE_INT32": 4, "TYPE_INT64": 8,
    "TYPE_FP16": 2, "TYPE_BF16": 2, "TYPE_FP32": 4, "TYPE_FP64": 8,
}  # fmt: skip


@dataclass(frozen=True)
class ProbeInput:
    """One input tensor of a probe; `content` is its little-endian bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    content: bytes
    vary: bool


@dataclass(frozen=True)
class Probe:
    """A request that makes a model infer; for a cached model its bodies differ, if they can."""

    inputs: tuple[ProbeInput, ...]

    @classmethod
    def for_model(cls, config: Mapping[str, Any], config_of: ConfigOf) -> "Probe | None":
        """Derive the request from a configuration; None for models that need more than tensors.

        `config_of` fetches the configuration of another loaded model: an ensemble's steps may
        have the golden picture.
        """
        if "sequence_batching" in config or _is_decoupled(config):
            return None
        picture = _golden_picture(config, config_of)
        inputs = [
            _input(entry, config, picture)
            for entry in config.get("input", [])
            if not entry.get("optional")
        ]
        return cls(tuple(i for i in inputs if i)) if inputs and all(inputs) else None

    def body(self, counter: int) -> tuple[bytes, int]:
        """Make a request body in Triton's binary form; returns it and the length of its JSON."""
        contents = [_varied(part, counter) if part.vary else part.content for part in self.inputs]
        head = {
            "inputs": [
                {
                    "name": part.name,
                    "datatype": part.datatype,
                    "shape": part.shape,
                    "parameters": {"binary_data_size": len(content)},
                }
                for part, content in zip(self.inputs, contents, strict=True)
            ],
            "parameters": {"binary_data_output": True},
        }
        text = json.dumps(head).encode()
        return text + b"".join(contents), len(text)


def _input(
    entry: Mapping[str, Any], config: Mapping[str, Any], picture: bytes | None
) -> ProbeInput | None:
    """Make the smallest tensor of zeros, of empty strings or of the picture."""
    dims = [max(int(dim), 1) for dim in entry["dims"]]
    shape = ([1] if int(config.get("max_batch_size", 0)) > 0 else []) + dims
    kind = entry["data_type"]
    # An ensemble's steps may be cached even if it is not.
    vary = model_config.is_cached(config) or "ensemble_scheduling" in config
    if kind == "TYPE_STRING":
        text = picture or b""
        return ProbeInput(entry["name"], "BYTES", tuple(shape), _strings(text, prod(shape)), vary)
    if kind not in _ITEM_BYTES:
        return None
    content = bytes(_ITEM_BYTES[kind] * prod(shape))
    return ProbeInput(entry["name"], kind.removeprefix("TYPE_"), tuple(shape), content, vary)


def _varied(part: ProbeInput, counter: int) -> bytes:
    """Change a tensor a little, so that the response cache cannot answer for the model."""
    if part.datatype == "BYTES":
        # No decoder looks past a JPEG's end-of-image marker.
        count = prod(part.shape)
        (length,) = struct.unpack_from("<I", part.content)
        text = part.content[4 : 4 + length]
        return _strings(text + str(counter).encode() if text else text, count)
    if part.datatype in ("FP32", "FP64"):
        number = struct.pack("<f" if part.datatype == "FP32" else "<d", counter % 1_000_000 / 1e6)
    elif part.datatype == "UINT8":
        number = counter.to_bytes(8, "little")[: len(part.content)]
    else:
        number = b""  # a changed index, flag or length could be one the model refuses
    return number + part.content[len(number) :]


def _strings(text: bytes, count: int) -> bytes:
    return (struct.pack("<I", len(text)) + text) * count


def _is_decoupled(config: Mapping[str, Any]) -> bool:
    return bool(config.get("model_transaction_policy", {}).get("decoupled"))


def _golden_picture(config: Mapping[str, Any], config_of: ConfigOf) -> bytes | None:
    """Find the golden picture of a model, of its classifier or of an ensemble's step."""
    name = str(config.get("name", ""))
    steps = model_config.steps(config)
    for suffix in companions(""):
        if name.endswith(suffix):
            steps.append(name.removesuffix(suffix))
    for candidate in [config, *(config_of(step) for step in steps)]:
        if text := model_config.parameters(candidate).get("golden_picture"):
            try:
                return base64.b64decode(text, validate=True)
            except ValueError:  # not base64, or not even ASCII
                continue
    return None
