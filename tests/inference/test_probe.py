"""Requests that make any model infer."""

import base64
import json
import struct
from typing import Any

import pytest

from inference.supervision.probe import Probe

JPEG = b"\xff\xd8\xff\xe0 picture \xff\xd9"
GOLDEN = {"golden_picture": {"string_value": base64.b64encode(JPEG).decode()}}


def config(kind: str = "TYPE_UINT8", dims: tuple[str, ...] = ("2", "4"), **more: Any) -> dict:
    """Return a configuration as Triton gives it, with numbers as strings."""
    return {
        "name": "model",
        "max_batch_size": 8,
        "input": [{"name": "image", "data_type": kind, "dims": list(dims)}],
        **more,
    }


def probe_of(configuration: dict, **others: dict) -> Probe:
    probe = Probe.for_model(configuration, lambda name: others.get(name, {}))
    assert probe
    return probe


def parts(probe: Probe, counter: int = 0) -> tuple[dict, bytes]:
    body, head = probe.body(counter)
    return json.loads(body[:head]), body[head:]


CACHED = {"response_cache": {"enable": True}}


def test_probe_is_the_smallest_tensor_of_zeros() -> None:
    head, content = parts(probe_of(config()))
    (tensor,) = head["inputs"]
    assert (tensor["name"], tensor["datatype"], tensor["shape"]) == ("image", "UINT8", [1, 2, 4])
    assert tensor["parameters"]["binary_data_size"] == 8
    assert content == bytes(8)


@pytest.mark.parametrize(
    ("size", "kinds"),
    [
        (1, ("BOOL", "INT8", "UINT8")),
        (2, ("INT16", "UINT16", "FP16", "BF16")),
        (4, ("INT32", "UINT32", "FP32")),
        (8, ("INT64", "UINT64", "FP64")),
    ],
)
def test_numbers_have_the_size_of_their_type(size: int, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        head, content = parts(probe_of(config(f"TYPE_{kind}", ("3",))))
        assert head["inputs"][0]["datatype"] == kind
        assert len(content) == 3 * size


def test_open_dimensions_become_one() -> None:
    head, content = parts(probe_of(config("TYPE_FP32", ("-1", "-1", "3"), max_batch_size=0)))
    assert head["inputs"][0]["shape"] == [1, 1, 3]
    assert content == bytes(12)


@pytest.mark.parametrize("cache", [{}, CACHED], ids=["not cached", "cached"])
def test_model_without_a_golden_picture_gets_empty_strings(cache: dict) -> None:
    head, content = parts(probe_of(config("TYPE_STRING", ("2",), **cache)), 7)
    assert head["inputs"][0]["datatype"] == "BYTES"
    assert content == bytes(8)


def test_picture_model_gets_its_golden_picture() -> None:
    _, content = parts(probe_of(config("TYPE_STRING", ("1",), parameters=GOLDEN)))
    assert content == struct.pack("<I", len(JPEG)) + JPEG


def test_ensemble_is_varied_because_its_steps_may_be_cached() -> None:
    probe = probe_of(config(ensemble_scheduling={"step": []}))
    assert parts(probe, 1) != parts(probe, 2)


@pytest.mark.parametrize(
    "names",
    [
        {"name": "m_decode"},
        {"name": "m_image"},
        {"name": "any", "ensemble_scheduling": {"step": [{"model_name": "m"}]}},
    ],
    ids=["decoder", "ensemble by name", "ensemble by step"],
)
def test_picture_of_the_classifier_is_used(names: dict) -> None:
    _, content = parts(probe_of(config("TYPE_STRING", ("1",), **names), m={"parameters": GOLDEN}))
    assert JPEG in content


@pytest.mark.parametrize("text", ["no base64!", "für später"])
def test_garbage_instead_of_a_picture_is_ignored(text: str) -> None:
    garbage = {"golden_picture": {"string_value": text}}
    _, content = parts(probe_of(config("TYPE_STRING", ("1",), parameters=garbage)))
    assert content == bytes(4)


@pytest.mark.parametrize("kind", ["TYPE_UINT8", "TYPE_FP32", "TYPE_FP64"])
def test_cached_model_never_gets_the_same_tensor_twice(kind: str) -> None:
    probe = probe_of(config(kind, ("8",), **CACHED))
    contents = {parts(probe, counter)[1] for counter in range(1000)}
    assert len(contents) == 1000
    assert len({len(content) for content in contents}) == 1


def test_cached_picture_is_varied_behind_its_end() -> None:
    probe = probe_of(config("TYPE_STRING", ("1",), parameters=GOLDEN, **CACHED))
    head, content = parts(probe, 42)
    assert content == struct.pack("<I", len(JPEG) + 2) + JPEG + b"42"
    assert head["inputs"][0]["parameters"]["binary_data_size"] == len(content)


def test_model_without_a_cache_always_gets_the_same() -> None:
    probe = probe_of(config())
    assert parts(probe, 1) == parts(probe, 2)


def test_numbers_that_may_be_indices_stay_zero() -> None:
    probe = probe_of(config("TYPE_INT64", ("1",), **CACHED))
    assert parts(probe, 7)[1] == bytes(8)


def test_optional_inputs_are_left_out() -> None:
    configuration = config()
    configuration["input"].append(
        {"name": "extra", "data_type": "TYPE_FP32", "dims": ["1"], "optional": True}
    )
    head, _ = parts(probe_of(configuration))
    assert [tensor["name"] for tensor in head["inputs"]] == ["image"]


@pytest.mark.parametrize(
    "configuration",
    [
        config(sequence_batching={}),
        config(model_transaction_policy={"decoupled": True}),
        config("TYPE_INVALID"),
        config(input=[]),
    ],
    ids=["sequences", "decoupled", "unknown type", "no input"],
)
def test_models_that_need_more_than_tensors_have_no_probe(configuration: dict) -> None:
    assert Probe.for_model(configuration, lambda name: {}) is None
