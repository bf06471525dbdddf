"""Matches a model's config.pbtxt with its signature: completes the config, refuses a clash."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.signatures import Signature
from inference.backends.tensorflow.tensors import Tensor, spell

Config = Mapping[str, Any]


def complete(config: Any, signature: Signature, default_batch: int) -> None:
    """Fill in what the signature tells, as NVIDIA's backend did. Raises LoadError on a clash.

    `config` is the `ModelConfig` that Triton gives to auto-complete.
    """
    given = config.as_dict()
    _check_carried(offered(given, signature))
    batch = _completed_batch(given, offered(given, signature), default_batch)
    config.set_max_batch_size(batch)
    if batch > 1 and "sequence_batching" not in given:
        config.set_dynamic_batching()
    controls = _control_inputs(given)
    for tensor in signature.inputs:
        if tensor.name not in controls:
            config.add_input(_completed(given.get("input", []), tensor, batch > 0))
    for tensor in offered(given, signature).outputs:
        config.add_output(_completed(given.get("output", []), tensor, batch > 0))
    _reshape_single_values(config.as_dict())
    check(config.as_dict(), signature)


def _reshape_single_values(config: dict[str, Any]) -> None:
    """Give a row of a single value the dims [1], as NVIDIA's did: Triton refuses empty dims."""
    for entry in (*config.get("input", []), *config.get("output", [])):
        if not entry.get("dims") and "reshape" not in entry:
            entry["dims"], entry["reshape"] = [1], {"shape": []}


def check(config: Config, signature: Signature) -> None:
    """Compare a complete configuration with the signature. Raises LoadError naming both sides."""
    _check_features(config)
    _check_carried(offered(config, signature))
    batched = int(config.get("max_batch_size", 0)) > 0
    if batched and not offered(config, signature).batches:
        raise LoadError(
            f"config.pbtxt says max_batch_size {config['max_batch_size']}, but signature"
            f" '{signature.name}' has no batch dimension: {_fixed(offered(config, signature))};"
            " set max_batch_size: 0"
        )
    controls = _control_inputs(config)
    inputs, outputs = _by_name(config.get("input", [])), _by_name(config.get("output", []))
    for tensor in signature.inputs:
        if tensor.name not in inputs and tensor.name not in controls:
            raise LoadError(
                f"config.pbtxt lacks input '{tensor.name}', which signature"
                f" '{signature.name}' needs ({tensor})"
            )
    _check_tensors("input", inputs, signature.inputs, signature, batched)
    _check_tensors("output", outputs, signature.outputs, signature, batched)


def offered(config: Config, signature: Signature) -> Signature:
    """Leave out the outputs that a configuration does not offer; one that names none offers all."""
    named = _by_name(config.get("output", []))
    outputs = tuple(tensor for tensor in signature.outputs if tensor.name in named)
    return replace(signature, outputs=outputs) if named else signature


def _completed_batch(config: Config, signature: Signature, default_batch: int) -> int:
    """Choose max_batch_size: what is given, none if the dims say so, else Triton's default."""
    given = int(config.get("max_batch_size", 0))
    if given or not signature.batches or _spells_batch(config, signature):
        return given
    return default_batch


def _spells_batch(config: Config, signature: Signature) -> bool:
    """Tell whether config.pbtxt gives full shapes, batch dimension included: no batching."""
    tensors = {("input", tensor.name): tensor for tensor in signature.inputs}
    tensors |= {("output", tensor.name): tensor for tensor in signature.outputs}
    for side in ("input", "output"):
        for entry in config.get(side, []):
            tensor, dims = tensors.get((side, entry["name"])), _dims(entry)
            if tensor and tensor.shape is not None and len(dims) == len(tensor.shape):
                return True
    return False


def _completed(entries: Sequence[Config], tensor: Tensor, batched: bool) -> dict[str, Any]:
    """Describe a tensor for auto-complete, keeping what config.pbtxt already says of it."""
    entry = _by_name(entries).get(tensor.name, {})
    kind = entry.get("data_type", "TYPE_INVALID")
    dims = [int(size) for size in entry.get("dims", [])]
    return {
        "name": tensor.name,
        "data_type": tensor.data_type if kind == "TYPE_INVALID" else kind,
        "dims": dims or tensor.dims(batched),
    }


def _check_tensors(
    side: str,
    entries: Mapping[str, Config],
    tensors: Sequence[Tensor],
    signature: Signature,
    batched: bool,
) -> None:
    """Compare the inputs or outputs of config.pbtxt with the signature's."""
    known = {tensor.name: tensor for tensor in tensors}
    for name, entry in entries.items():
        if name not in known:
            listed = ", ".join(f"'{tensor}'" for tensor in sorted(known)) or "none"
            raise LoadError(
                f"config.pbtxt names {side} '{name}', but signature '{signature.name}' has"
                f" the {side}s {listed}"
            )
        _check_tensor(side, entry, known[name], signature, batched)


def _check_tensor(
    side: str, entry: Config, tensor: Tensor, signature: Signature, batched: bool
) -> None:
    """Compare one tensor's type and dims."""
    if entry["data_type"] != tensor.data_type:
        raise LoadError(
            f"config.pbtxt says {side} '{tensor.name}' is {entry['data_type']}, but signature"
            f" '{signature.name}' says {tensor.data_type}"
        )
    dims = _dims(entry)
    if tensor.shape is not None and not _fit(dims, tensor.dims(batched)):
        batch = " after the batch dimension" if batched else ""
        raise LoadError(
            f"config.pbtxt says {side} '{tensor.name}' has dims {spell(dims)}, but signature"
            f" '{signature.name}' says {spell(tensor.dims(batched))}{batch}"
        )


def _fit(dims: Sequence[int], model: Sequence[int]) -> bool:
    """Tell whether dims are those of the model, or narrower where the model's vary."""
    return len(dims) == len(model) and all(
        theirs in (-1, ours) for ours, theirs in zip(dims, model, strict=True)
    )


def _dims(entry: Config) -> list[int]:
    """Give the shape the model sees: `reshape` wins over `dims`."""
    if "reshape" in entry:
        return [int(size) for size in entry["reshape"].get("shape", [])]
    return [int(size) for size in entry.get("dims", [])]


def _check_features(config: Config) -> None:
    """Refuse what Triton's Python backend cannot do for us."""
    ragged = [e["name"] for e in config.get("input", []) if e.get("allow_ragged_batch")]
    if ragged:
        raise LoadError(
            f"config.pbtxt asks for a ragged batch of input '{ragged[0]}', which this backend"
            " cannot form: remove allow_ragged_batch"
        )
    optional = [e["name"] for e in config.get("input", []) if e.get("optional")]
    if optional:
        raise LoadError(
            f"config.pbtxt says input '{optional[0]}' is optional, but a signature needs all its"
            " inputs: remove optional"
        )
    for field in ("batch_input", "batch_output"):
        if config.get(field):
            raise LoadError(f"config.pbtxt has a {field}, which this backend does not support")
    if config.get("sequence_batching", {}).get("state"):
        raise LoadError("config.pbtxt has an implicit sequence state, which is not supported")
    if config.get("model_transaction_policy", {}).get("decoupled"):
        raise LoadError("config.pbtxt says decoupled, but a SavedModel answers each request once")


def _check_carried(signature: Signature) -> None:
    """Refuse a type that Triton lacks, and a tensor without any dimension, even one of rows."""
    for tensor in (*signature.inputs, *signature.outputs):
        if not tensor.is_of_tritons_type:
            raise LoadError(
                f"signature '{signature.name}' has '{tensor.name}', which is {tensor.data_type}:"
                " Triton cannot carry that; save the model with another type"
            )
        if tensor.shape == ():
            raise LoadError(
                f"signature '{signature.name}' has the scalar {tensor}, which Triton cannot carry:"
                " save the model with [1] or [None] in its place"
            )


def _control_inputs(config: Config) -> set[str]:
    """Name the inputs that Triton's sequence batcher fills."""
    controls = config.get("sequence_batching", {}).get("control_input", [])
    return {control["name"] for control in controls}


def _by_name(entries: Sequence[Config]) -> dict[str, Config]:
    """Map tensors of a configuration by name."""
    return {entry["name"]: entry for entry in entries}


def _fixed(signature: Signature) -> str:
    """Spell the tensors whose first dimension does not vary."""
    tensors = (*signature.inputs, *signature.outputs)
    return ", ".join(str(tensor) for tensor in tensors if not tensor.batches)
