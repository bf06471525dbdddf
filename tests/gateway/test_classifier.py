"""Batches, versions and what becomes of errors."""

import threading
from typing import Any

import numpy as np
import pytest

from gateway.classifier import Classification, Classifier
from gateway.deadline import ClientGone, Deadline
from gateway.decoder import Decoder
from gateway.errors import DeadlineExceeded, InferenceFailed, TritonUnavailable, UnknownModel
from gateway.image import Limits
from gateway.model import Model
from gateway.options import ClassifyOptions
from gateway.shares import Shares
from gateway.triton import Answer
from gateway.uploads import Picture
from tests.gateway.stub import Gateway, Start, StubTriton, model_config, picture

COLOURS = ["red", "green", "blue"] * 3


def classify(gateway: Gateway, deadline: Deadline | None = None) -> Classification:
    pictures = [Picture(colour, picture(colour)) for colour in COLOURS]
    return gateway.services.classifier.classify(
        pictures, ClassifyOptions(), deadline or Deadline(10)
    )


def test_pictures_go_in_batches_of_the_models_size(gateway: Gateway) -> None:
    classification = classify(gateway)
    assert sorted(size for _, size in gateway.triton.batches) == [1, 4, 4]
    assert [r.predictions[0].label for r in classification.results] == COLOURS


class BlackIsRefused(StubTriton):
    """A Triton that fails every batch that begins with a black picture."""

    def infer(self, model: Model, version: str, tensors: list[Any], *rest: Any) -> Answer:
        if not tensors[0].any():
            raise InferenceFailed("black")
        return super().infer(model, version, tensors, *rest)


def test_after_a_batch_has_failed_no_other_one_of_its_request_begins(gateway: Gateway) -> None:
    catalog, go_on = gateway.services.catalog, threading.Event()
    triton = BlackIsRefused(hold=go_on)
    classifier = Classifier(catalog, triton, Decoder(Limits()), {})
    black, white = np.zeros([224, 224, 3], np.uint8), np.full([224, 224, 3], 255, np.uint8)
    with pytest.raises(InferenceFailed):
        pictures = [black] * 4 + [white] * 4 * 30
        classifier._infer(catalog.find("colours"), "", pictures, 1, Deadline(10))
    go_on.set()
    classifier._pool.shutdown(wait=True)
    assert len(triton.batches) < 15


def test_one_request_is_answered_by_one_version(gateway: Gateway) -> None:
    gateway.triton.versions = ["9", "10", "9"]
    classification = classify(gateway)
    assert classification.version == "10"
    assert [version for version, _ in gateway.triton.batches] == [""] * 3 + ["10"] * 3


def test_a_known_model_that_is_not_found_is_being_reloaded(gateway: Gateway) -> None:
    gateway.triton.failure = UnknownModel("gone")
    with pytest.raises(TritonUnavailable, match="reloaded"):
        classify(gateway)


def test_a_version_that_was_retired_is_unknown_and_raises_no_doubt(
    start: Start, triton: StubTriton
) -> None:
    triton.configs["colours", "2"] = model_config("colours")
    gateway = start()
    gateway.services.readiness.check()
    triton.retired = {"1"}
    assert gateway.classify(query="?version=1").status_code == 404
    assert gateway.services.readiness.is_ready()
    assert gateway.classify().get_json()["version"] == "2"


def test_a_version_that_is_forgotten_while_it_is_asked_for_is_unknown(
    start: Start, triton: StubTriton
) -> None:
    triton.configs["colours", "2"] = model_config("colours")
    gateway = start()
    classifier, version_1 = (
        gateway.services.classifier,
        gateway.services.catalog.find("colours", "1"),
    )
    del triton.configs["colours", "1"]
    triton.retired = {"1"}
    gateway.services.catalog.refresh()
    with pytest.raises(UnknownModel):
        classifier._infer(version_1, "1", [np.zeros([224, 224, 3], np.uint8)], 1, Deadline(10))


def test_the_only_version_is_being_reloaded_if_it_is_asked_for(gateway: Gateway) -> None:
    gateway.triton.retired = {"1"}
    assert gateway.classify(query="?version=1").status_code == 503


@pytest.mark.parametrize("known", [["1"], ["1", "2"]], ids=["the only one known", "one of two"])
def test_a_share_of_a_retired_version_goes_to_another(
    start: Start, triton: StubTriton, known: list[str]
) -> None:
    triton.configs = {("colours", version): model_config("colours") for version in known}
    gateway = start(version_shares={"colours": Shares({"1": 1})})
    triton.retired = {"1"}
    answer = gateway.classify()
    assert (answer.status_code, answer.get_json()["version"]) == (200, known[-1])
    assert gateway.classify(query="?ab=1:1").status_code in (404, 503)


def test_a_version_that_is_asked_for_wins_over_any_shares(start: Start, triton: StubTriton) -> None:
    triton.configs["colours", "2"] = model_config("colours")
    gateway = start(version_shares={"colours": Shares({"1": 1})})
    for query in ("?version=2", "?version=2&ab=1:1"):
        assert gateway.classify(query=query).get_json()["version"] == "2"


def test_bad_pictures_alone_never_reach_triton(gateway: Gateway) -> None:
    classification = gateway.services.classifier.classify(
        [Picture("a", b"x"), Picture("b", b"y")], ClassifyOptions(), Deadline(10)
    )
    assert [r.error.code for r in classification.results if r.error] == ["not_a_picture"] * 2
    assert classification.version == "1"
    assert gateway.triton.batches == []


def test_nothing_is_decoded_past_the_deadline_or_for_nobody(gateway: Gateway) -> None:
    with pytest.raises(DeadlineExceeded):
        classify(gateway, Deadline(0))
    deserted = Deadline(10)
    deserted.client_gone = lambda: True
    with pytest.raises(ClientGone):
        classify(gateway, deserted)
    assert gateway.triton.batches == []


def test_a_model_without_batching_gets_its_pictures_one_by_one(
    start: Start, triton: StubTriton
) -> None:
    triton.configs["colours", "1"] = model_config("colours")
    triton.configs["colours", "1"].max_batch_size = 0
    classification = classify(start())
    assert [size for _, size in triton.batches] == [1] * 9
    assert [r.predictions[0].label for r in classification.results] == COLOURS


def test_no_picture_waits_for_the_decoder_past_its_deadline(gateway: Gateway) -> None:
    decoder, model = Decoder(Limits(), cores=1), gateway.services.catalog.find("colours")
    with decoder._slot(Deadline(60)), pytest.raises(DeadlineExceeded):
        list(decoder.decode([Picture(None, picture())], model.contract, Deadline(0.05)))
    decoder.close()
