"""The decoding backend without Triton: its configuration, and pictures of several requests."""

import json
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from gateway.errors import EdgeLensError
from gateway.image import Limits, to_tensor
from inference.backends.opencv import decoder as decoding
from inference.backends.opencv.batch import answers, pictures
from inference.backends.opencv.configuration import Configuration, LoadError
from inference.backends.opencv.decoder import InstanceDecoder
from tests.photos import DATA, photos
from tests.pictures import CONTRACT

GOOD = [photo.data for photo in photos()[:4]]
BOMB = (DATA / "odd_images/bomb_20000x20000_1bit.png").read_bytes()


def config(**changes: object) -> dict[str, object]:
    parameters = CONTRACT.as_parameters()
    parameters |= changes.pop("parameters", {})
    return {
        "max_batch_size": 16,
        "input": [{"name": "image", "data_type": "TYPE_STRING", "dims": ["1"]}],
        "output": [{"name": "tensor", "data_type": "TYPE_UINT8", "dims": ["224", "224", "3"]}],
        "instance_group": [{"count": 2}, {"count": 1}],
        "parameters": {name: {"string_value": text} for name, text in parameters.items()},
        **changes,
    }


def read(**changes: object) -> Configuration:
    return Configuration.from_json(json.dumps(config(**changes)))


@pytest.fixture(params=[1, 100], ids=["several threads", "one thread"])
def decoder(request: pytest.FixtureRequest):
    """With one instance this decoder has all processors, with 100 a single thread."""
    found = InstanceDecoder(read(instance_group=[{"count": request.param}]))
    yield found
    found.close()


def test_the_configuration_gives_the_contract_and_the_names() -> None:
    found = read(parameters={"max_bytes": "1000"}, max_batch_size=1)
    assert found.contract == CONTRACT
    assert (found.input, found.output, found.instances) == ("image", "tensor", 3)
    assert found.limits == Limits(max_bytes=1000)
    assert str(found) == "224x224 RGB, shorter side 256, crop center, cubic"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parameters": {"crop": "middle"}}, "parameter crop"),
        ({"parameters": {"max_pixels": "many"}}, "max_pixels is 'many'"),
        ({"parameters": {"max_bytes": "0"}}, "max_bytes is '0'"),
        ({"parameters": {"max_bytes": "²"}}, "max_bytes is '²'"),
        ({"parameters": {"max_bytes": "2147483648"}}, "not a whole number from 1 to 2147483647"),
        ({"max_batch_size": 0}, "max_batch_size"),
        ({"input": []}, "one input"),
        ({"output": [{"name": "t", "data_type": "TYPE_FP32", "dims": [224, 224, 3]}]}, "TYPE_FP32"),
        (
            {"output": [{"name": "t", "data_type": "TYPE_UINT8", "dims": [3, 224, 224]}]},
            r"\[3, 224, 224\], but the contract in its parameters requires .*\[224, 224, 3\]",
        ),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(LoadError, match=sentence):
        read(**changes)


def test_pictures_become_the_gateways_tensors(decoder: InstanceDecoder) -> None:
    for picture, found in zip(GOOD, decoder.decode(GOOD), strict=True):
        assert np.array_equal(found, to_tensor(picture, CONTRACT))


@pytest.mark.parametrize("broken", [b"", b"text", GOOD[0][:300], BOMB], ids=len)
def test_a_broken_picture_gets_the_gateways_sentence(
    decoder: InstanceDecoder, broken: bytes
) -> None:
    with pytest.raises(EdgeLensError) as expected:
        to_tensor(broken, CONTRACT)
    first, failed, last = decoder.decode([GOOD[0], broken, GOOD[1]])
    assert failed == expected.value.message
    assert np.array_equal(first, to_tensor(GOOD[0], CONTRACT))
    assert np.array_equal(last, to_tensor(GOOD[1], CONTRACT))


def test_what_is_no_picture_at_all_is_an_error_too(decoder: InstanceDecoder) -> None:
    (found,) = decoder.decode([None])
    assert found == "This picture cannot be decoded (TypeError)."


@pytest.mark.parametrize(("cpus", "instances", "threads"), [(4, 1, 4), (4, 2, 2), (1, 2, 1)])
def test_pictures_are_decoded_on_the_instances_share_of_the_processors(
    monkeypatch: pytest.MonkeyPatch, cpus: int, instances: int, threads: int
) -> None:
    together, all_handed_out = threading.Barrier(threads), threading.Event()

    class Batch(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            yield from super().__iter__()
            all_handed_out.set()

    def thread(*_: object) -> int:
        # By then, every thread that there may be has started.
        assert threads == 1 or all_handed_out.wait(10)
        together.wait(10)
        return threading.get_ident()

    monkeypatch.setattr(decoding, "available_cpus", lambda: cpus)
    monkeypatch.setattr(decoding, "to_tensor", thread)
    decoder = InstanceDecoder(read(instance_group=[{"count": instances}]))
    assert len(set(decoder.decode(Batch([b""] * 2 * threads)))) == threads
    decoder.close()


def test_every_request_gets_its_own_pictures() -> None:
    tensors = [np.full([2, 2, 3], value, np.uint8) for value in range(3)]
    requests = [[b"a"], "unreadable", [b"b", b"c"]]
    assert pictures(requests) == [b"a", b"b", b"c"]
    first, unreadable, last = answers(requests, tensors)
    assert np.array_equal(first, tensors[0][np.newaxis])
    assert unreadable == "unreadable"
    assert np.array_equal(last, np.stack(tensors[1:]))


def test_a_request_fails_with_its_broken_picture_and_alone() -> None:
    tensor = np.zeros([2, 2, 3], np.uint8)
    requests = [[b"a"], [b"b", b"c"], [b"d"]]
    first, second, third = answers(requests, [tensor, tensor, "Too dark.", "Too light."])
    assert np.array_equal(first, tensor[np.newaxis])
    assert second == "Picture 2 of 2: Too dark."
    assert third == "Too light."
