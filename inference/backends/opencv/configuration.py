"""What a decoder's config.pbtxt says: the contract, its limits and its tensors' names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.contract import Contract, ContractError
from gateway.image import Limits
from inference import model_config

MOST = 2**31 - 1  # bytes, or pixels


class LoadError(Exception):
    """A configuration that cannot be followed; the message says what to change."""


@dataclass(frozen=True)
class Configuration:
    """One decoder; `instances` of it share the processors."""

    contract: Contract
    limits: Limits
    input: str
    output: str
    instances: int

    @classmethod
    def from_json(cls, text: str) -> "Configuration":
        """Read Triton's model configuration. Raises LoadError naming what is wrong."""
        config = json.loads(text)
        parameters = model_config.parameters(config)
        try:
            contract = Contract.from_parameters(parameters)
        except ContractError as error:
            raise LoadError(str(error)) from None
        if int(config.get("max_batch_size", 0)) < 1:
            raise LoadError("config.pbtxt must set max_batch_size to 1 or more, for [N,1] pictures")
        return cls(
            contract=contract,
            limits=_limits(parameters),
            input=_only(config, "input", "TYPE_STRING", [1]),
            output=_only(config, "output", "TYPE_UINT8", contract.shape),
            instances=model_config.instances(config),
        )

    def __str__(self) -> str:
        """Say it in a line of the log."""
        rule = self.contract
        return (
            f"{rule.width}x{rule.height} {rule.colour_order}, shorter side"
            f" {rule.resize_shorter_side}, crop {rule.crop}, {rule.interpolation}"
        )


def _only(config: Mapping[str, Any], side: str, kind: str, dims: list[int]) -> str:
    """Name the only input or output, which must be of one kind and shape."""
    entries = config.get(side, [])
    if len(entries) != 1:
        raise LoadError(f"config.pbtxt must name one {side}, but it names {len(entries)}")
    found = [int(size) for size in entries[0].get("dims", [])]
    if entries[0].get("data_type") != kind or found != dims:
        raise LoadError(
            f"config.pbtxt says {side} '{entries[0]['name']}' is {entries[0].get('data_type')}"
            f" {found}, but the contract in its parameters requires {kind} {dims}"
        )
    return str(entries[0]["name"])


def _limits(parameters: Mapping[str, str]) -> Limits:
    """Read `max_bytes` and `max_pixels`; without them the gateway's default limits apply."""
    default = Limits()
    return Limits(
        max_bytes=_count(parameters, "max_bytes", default.max_bytes),
        max_pixels=_count(parameters, "max_pixels", default.max_pixels),
    )


def _count(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MOST:
        raise LoadError(f"parameter {name} is '{text[:40]}', not a whole number from 1 to {MOST}")
    return int(text)
