"""Gathering requests into one inference and splitting the answer."""

import numpy as np
import pytest

from inference.backends.tensorflow.batcher import Batcher
from inference.backends.tensorflow.errors import RequestError


class Doubler:
    """Doubles `x` in one buffer that it reuses, as engines do; refuses negative numbers."""

    def __init__(self):
        self.runs = []
        self.buffer = np.zeros([64, 2], np.float32)

    def run(self, inputs):
        x = inputs["x"]
        self.runs.append(len(x))
        if (x < 0).any():
            raise RequestError("negative")
        out = self.buffer[: len(x), : x.shape[1]]
        out[...] = 2 * x
        return {"y": out}


def rows(*values, width=2):
    return {"x": np.repeat(np.array(values, np.float32)[:, None], width, 1)}


@pytest.fixture
def engine():
    return Doubler()


def test_requests_of_one_shape_are_one_inference(engine):
    answers = Batcher(engine.run, batched=True).answer([rows(1), rows(2, 3), rows(4)])
    assert [answer["y"][:, 0].tolist() for answer in answers] == [[2], [4, 6], [8]]
    assert engine.runs == [4]


def test_answers_of_one_inference_are_views(engine):
    answers = Batcher(engine.run, batched=True).answer([rows(1), rows(2)])
    assert all(np.shares_memory(answer["y"], engine.buffer) for answer in answers)


def test_different_shapes_are_kept_apart_and_in_order(engine):
    requests = [rows(1), rows(2, width=1), rows(3)]
    answers = Batcher(engine.run, batched=True).answer(requests)
    assert [answer["y"].tolist() for answer in answers] == [[[2, 2]], [[4]], [[6, 6]]]
    assert engine.runs == [2, 1]


def test_different_types_are_kept_apart(engine):
    requests = [rows(1), {"x": rows(2)["x"].astype(np.float64)}, rows(3)]
    answers = Batcher(engine.run, batched=True).answer(requests)
    assert [answer["y"].tolist() for answer in answers] == [[[2, 2]], [[4, 4]], [[6, 6]]]
    assert engine.runs == [2, 1]


def test_a_bad_request_fails_alone(engine):
    answers = Batcher(engine.run, batched=True).answer([rows(1), rows(-1), rows(3)])
    assert isinstance(answers[1], RequestError)
    assert [answers[0]["y"][0, 0], answers[2]["y"][0, 0]] == [2, 6]


def test_without_batch_dimension_each_request_runs_alone(engine):
    answers = Batcher(engine.run, batched=False).answer([rows(1), rows(2)])
    assert [answer["y"][0, 0] for answer in answers] == [2, 4]
    assert engine.runs == [1, 1]


@pytest.mark.parametrize("shape", [[], [1]], ids=["no rows", "another number of rows"])
def test_an_output_that_cannot_be_split_makes_each_request_run_alone(shape):
    runs = []

    def total(inputs):
        runs.append(len(inputs["x"]))
        return {"y": inputs["x"].sum().reshape(shape)}

    answers = Batcher(total, batched=True).answer([rows(1), rows(2)])
    assert [float(answer["y"].sum()) for answer in answers] == [2, 4]
    assert runs == [2, 1, 1]
