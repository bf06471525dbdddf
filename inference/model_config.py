"""What a model's configuration says, as Triton gives it in JSON."""

from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]


def parameters(config: Config) -> dict[str, str]:
    """Return the `parameters` as texts by name."""
    given = config.get("parameters", {}).items()
    return {name: str(value.get("string_value", "")) for name, value in given}


def has_contract(config: Config) -> bool:
    """Tell whether the model states how a picture becomes its input; each row is then a picture."""
    return "width" in config.get("parameters", {})


def instances(config: Config) -> int:
    """Count the instances of all groups; 1 if none is named, as in Triton."""
    return sum(int(group.get("count", 1)) for group in config.get("instance_group", [])) or 1


def steps(config: Config) -> list[str]:
    """Name the models an ensemble consists of; none for any other model."""
    return [step["model_name"] for step in config.get("ensemble_scheduling", {}).get("step", [])]


def is_cached(config: Config) -> bool:
    """Tell whether the model asks for Triton's response cache."""
    return bool(config.get("response_cache", {}).get("enable"))
