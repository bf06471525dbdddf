"""Checks one model of a running server against its contract, over every way to reach it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np

from gateway.image import Pixels
from gateway.model_names import ensemble_name, is_apart
from inference.contracts.answer import Answer
from inference.contracts.endpoint import Array, Endpoint, Names
from inference.contracts.errors import Deviation
from inference.contracts.expectation import Expectation, contract_of, input_of
from inference.contracts.judgement import judge, judge_ensemble
from inference.contracts.report import Report


@dataclass
class Check:
    """The check of one model; `version` "" is what unversioned requests get.

    `title` is what the report calls the model if not by its own name.
    """

    endpoints: Sequence[Endpoint]
    model: str
    version: str
    report: Report
    title: str = ""
    _wrong: dict[str, Answer] = field(default_factory=dict)

    def run(self) -> None:
        """Check the contract, the raw tensor, a batch and the ensemble. Raises Unreachable."""
        title = self.title or self.model + (f" v{self.version}" if self.version else "")
        self.report.say(f"{title}:")
        expected = self.report.check("contract", self._expectation)
        if expected is None:
            return
        self.report.say(
            f"            golden picture: '{expected.label}' {expected.probability:.4f}"
            f" ± {expected.tolerance:g} at precision {expected.precision}"
        )
        tensor = self.report.check("golden tensor", expected.tensor)
        if tensor is None:
            return
        self._check_model(expected, tensor)
        self._check_ensembles(expected, tensor)

    def _check_model(self, expected: Expectation, tensor: Pixels) -> None:
        """Check the model itself over each protocol: one picture, and several if it takes them."""
        checks = {"tensor": self._check_tensor}
        if expected.max_batch_size > 1:
            checks["batch"] = self._check_batch
        else:
            self.report.note("it takes one picture per request, so there is no batch to check")
        for endpoint in self.endpoints:
            for what, check in checks.items():
                self.report.check(
                    f"{what} over {endpoint.name}", partial(check, endpoint, expected, tensor)
                )

    def _expectation(self) -> Expectation:
        config = self.endpoints[0].config(self.model, self.version)
        return Expectation.from_config(config, self.version or self._newest())

    def _newest(self) -> str:
        """Find out which version answers unversioned requests, by asking with zeros."""
        config = self.endpoints[0].config(self.model)
        contract = contract_of(config)
        zeros = np.zeros(contract.shape, np.uint8)
        tensors = Names(input_of(config, contract), config["output"][0]["name"], 1)
        batch = rows([zeros], int(config.get("max_batch_size", 0)))
        return self.endpoints[0].classify(self.model, "", batch, tensors).version

    def _check_tensor(self, endpoint: Endpoint, expected: Expectation, tensor: Pixels) -> None:
        ask = partial(self._ask, endpoint, expected)
        if problem := judge(ask(tensor), expected, ask):
            raise Deviation(problem)

    def _ask(self, endpoint: Endpoint, expected: Expectation, tensor: Pixels) -> Answer:
        batch = fresh(tensor, noise(tensor.shape), expected.max_batch_size)
        return endpoint.classify(self.model, self.version, batch, names(expected))

    def _check_batch(self, endpoint: Endpoint, expected: Expectation, tensor: Pixels) -> None:
        """Compare rows of a batch with the same pictures alone."""
        other = noise(tensor.shape)
        # The golden picture but for one line, so that no cache can answer for it alone.
        varied = np.concatenate([other[:1], tensor[1:]])
        pictures = [other, varied, varied[:, ::-1], other[::-1]]
        batch = rows(pictures, expected.max_batch_size)
        ask = endpoint.probabilities
        together = ask(self.model, self.version, batch, names(expected))
        for row, found in zip(batch, together, strict=True):
            alone = ask(self.model, self.version, row[np.newaxis], names(expected))[0]
            gap = float(np.abs(found - alone).max())
            if not gap <= expected.tolerance:
                raise Deviation(
                    f"a picture gets a different answer in a batch of {len(batch)} than alone: a"
                    f" probability differs by {gap:.4f}"
                )

    def _check_ensembles(self, expected: Expectation, tensor: Pixels) -> None:
        if is_apart(self.model):  # a version under test; the ensemble follows when it serves
            return
        http, ensemble = self.endpoints[0], ensemble_name(self.model)
        try:
            config = http.config(ensemble)
        except Deviation:
            self.report.note(f"no {ensemble} is served: encoded pictures were not checked")
            return
        if self.version:
            newest = self.report.check("the newest version", self._newest)
            if newest is None:
                return
            if newest != self.version:
                self.report.note(f"{ensemble} follows version {newest} and was not checked")
                return
        for endpoint in self.endpoints:
            check = partial(self._check_ensemble, endpoint, config, expected, tensor)
            self.report.check(f"{ensemble} over {endpoint.name}", check)

    def _check_ensemble(
        self, endpoint: Endpoint, config: Mapping[str, Any], expected: Expectation, tensor: Pixels
    ) -> None:
        picture = np.array([expected.picture], dtype=np.object_)
        other = np.array([encoded(noise((32, 32, 3)))], dtype=np.object_)
        batch = fresh(picture, other, int(config.get("max_batch_size", 0)))
        tensors = Names(config["input"][0]["name"], config["output"][0]["name"], expected.classes)
        answer = endpoint.classify(config["name"], "", batch, tensors)
        direct = self._ask(endpoint, expected, tensor)
        self._wrong = self._wrong or {
            mistake: self._ask(endpoint, expected, other)
            for mistake, other in expected.tensors_gone_wrong().items()
        }
        if problem := judge_ensemble(answer, direct, expected, self._wrong):
            raise Deviation(problem)


def names(expected: Expectation) -> Names:
    """Return how to ask for an answer with all labels."""
    return Names(expected.input, expected.output, expected.classes)


def fresh(picture: Array, other: Array, max_batch_size: int) -> Array:
    """Put a picture nobody has asked about behind the first, so that no cache can answer.

    Triton's response cache knows a version by its number alone: its answers outlive the version.
    """
    return rows([picture, other], max_batch_size)


def rows(pictures: Sequence[Array], max_batch_size: int) -> Array:
    """Join as many pictures as a request may hold; a model without batches takes one as it is."""
    if not max_batch_size:
        return pictures[0]
    return np.ascontiguousarray(np.stack(pictures[:max_batch_size]))


def noise(shape: tuple[int, ...]) -> Pixels:
    """Return noise that differs each time, UINT8 of this shape."""
    return np.random.default_rng(time.time_ns()).integers(0, 256, shape, np.uint8)


def encoded(pixels: Pixels) -> bytes:
    """Encode a picture as PNG."""
    return bytes(cv2.imencode(".png", pixels)[1])
