"""The options of a model: the `parameters` of its config.pbtxt, ours and NVIDIA's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference import model_config
from inference.backends.tensorflow.errors import LoadError

ENGINES = ("auto", "openvino", "tensorflow")
PRECISIONS = ("auto", "f32", "bf16", "int8")
REFUSED = {"TF_INIT_OPS_FILE": "it belongs to GraphDef models, but this backend runs SavedModels"}


@dataclass(frozen=True)
class Options:
    """What the parameters ask for; `threads` of 0 means "as many as the quota allows"."""

    engine: str = "auto"
    precision: str = "auto"
    threads: int = 0
    inter_threads: int = 0
    signature: str = ""
    tag: str = ""
    weights: str = ""
    has_contract: bool = False  # each row is a picture, and is answered by itself

    @classmethod
    def from_config(cls, config: Mapping[str, Any], version: str = "") -> "Options":
        """Read a model configuration's parameters. Raises LoadError naming the bad one.

        All versions share one configuration: plain `weights` belongs to the newest export.
        """
        given = model_config.parameters(config)
        for name, reason in REFUSED.items():
            if name in given:
                raise LoadError(f"parameter {name} is not supported: {reason}")
        return cls(
            engine=_choice(given, "engine", ENGINES),
            precision=_choice(given, "precision", PRECISIONS),
            threads=_count(given, "threads") or _count(given, "TF_NUM_INTRA_THREADS"),
            inter_threads=_count(given, "TF_NUM_INTER_THREADS"),
            signature=given.get("signature") or given.get("TF_SIGNATURE_DEF", ""),
            tag=given.get("TF_GRAPH_TAG", ""),
            weights=given.get(f"weights_v{version}") or given.get("weights", ""),
            has_contract=model_config.has_contract(config),
        )


def _choice(given: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    """Read one of a few words; the first is the default."""
    value = given.get(name) or allowed[0]
    if value not in allowed:
        raise LoadError(f"parameter {name} is '{value}', not one of {', '.join(allowed)}")
    return value


def _count(given: Mapping[str, str], name: str) -> int:
    """Read a number of threads; 0 or nothing leaves it to the backend."""
    value = given.get(name) or "0"
    if not (value.isascii() and value.isdigit()) or int(value) > 1024:
        raise LoadError(f"parameter {name} is '{value}', not a whole number from 0 to 1024")
    return int(value)
