"""Requests whose tensors cannot be read."""

import numpy as np

from inference.backends.tensorflow.batcher import Batcher
from inference.backends.tensorflow.errors import RequestError
from inference.backends.tensorflow.inputs import read_inputs
from inference.backends.tensorflow.served_model import ServedModel


class Tensor:
    """Stands in for Triton's; it has no readable content if none is given."""

    def __init__(self, content):
        self.content = content

    def name(self):
        return "x"

    def as_numpy(self):
        if self.content is None:
            raise ValueError("string length exceeds the buffer")
        return self.content


class Request:
    def __init__(self, content):
        self.tensor = Tensor(content)

    def inputs(self):
        return [self.tensor]


def test_a_readable_request_is_taken_without_a_copy():
    content = np.ones([1, 2], np.float32)
    assert read_inputs(Request(content))["x"] is content


def test_an_unreadable_request_fails_alone():
    contents = [np.full([1, 1], 1.0), None, np.full([1, 1], 3.0)]
    model = ServedModel(None, None, Batcher(lambda inputs: {"y": inputs["x"] * 2}, batched=True))
    first, second, third = model.answer([read_inputs(Request(content)) for content in contents])
    assert [first["y"].item(), third["y"].item()] == [2, 6]
    assert isinstance(second, RequestError)
    assert str(second) == "the inputs cannot be read: string length exceeds the buffer"
