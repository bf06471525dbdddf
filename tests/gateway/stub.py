"""A stand-in for Triton, and what tests ask a gateway with."""

import base64
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from flask.testing import FlaskClient
from tritonclient.grpc import model_config_pb2
from werkzeug.test import TestResponse

from gateway.admission import Admission
from gateway.deadline import Deadline
from gateway.errors import ModelNotReady, UnknownModel
from gateway.labels import Prediction
from gateway.model import Model
from gateway.scrape import Loaded
from gateway.services import Services
from gateway.triton import Answer
from tests.pictures import CONTRACT

STATED = {**CONTRACT.as_parameters(), "label_file": "labels.txt", "weights": "random"}
COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}  # BGR


def picture(colour: str = "red") -> bytes:
    """Return a small JPEG of one colour."""
    return cv2.imencode(".jpg", np.full((32, 32, 3), COLOURS[colour], np.uint8))[1].tobytes()


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def model_config(name: str, **parameters: str) -> Any:
    """Return the ModelConfig message of a small classifier."""
    config = model_config_pb2.ModelConfig(name=name, max_batch_size=4)
    config.input.add(name="image", data_type=model_config_pb2.TYPE_UINT8, dims=[224, 224, 3])
    config.output.add(name="probabilities", data_type=model_config_pb2.TYPE_FP32, dims=[1000])
    for key, value in {**STATED, **parameters}.items():
        config.parameters[key].string_value = value
    return config


@dataclass
class StubTriton:
    """Answer the colour of each picture; fail, wait and switch versions as a test demands."""

    configs: dict[tuple[str, str], Any] = field(
        default_factory=lambda: {("colours", "1"): model_config("colours")}
    )
    failure: Exception | None = None
    retired: set[str] = field(default_factory=set)  # the catalog does not know that these are gone
    versions: list[str] = field(default_factory=list)
    inferred: dict[tuple[str, str], float] = field(default_factory=dict)
    batches: list[tuple[str, int]] = field(default_factory=list)
    connections: int = 1
    cut: bool = False
    hold: threading.Event | None = None
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def config(self, name: str, version: str) -> Any:
        try:
            return self.configs[name, version]
        except KeyError:
            raise UnknownModel("gone") from None

    def infer(
        self, model: Model, version: str, tensors: list[Any], top_k: int, deadline: Deadline
    ) -> Answer:
        self.entered.release()
        if self.hold:
            assert self.hold.wait(20)
        if self.failure:
            raise self.failure
        if version in self.retired:
            raise ModelNotReady("not at ready state")
        self.batches.append((version, len(tensors)))
        answering = self.versions.pop(0) if self.versions else version or model.version
        return Answer(answering, [predictions(tensor)[:top_k] for tensor in tensors])

    def loaded(self) -> Loaded:
        return Loaded(frozenset(self.configs), {}, self.inferred)

    def reconnect(self, *, cut: bool) -> None:
        self.connections += 1
        self.cut = cut

    def close(self) -> None:
        pass


def predictions(tensor: Any) -> list[Prediction]:
    """Name the strongest channel, then the others."""
    means = tensor.reshape(-1, 3).mean(axis=0)
    order = np.argsort(-means)
    names = ("red", "green", "blue")
    total = float(means.sum())
    return [Prediction(f"n0000000{i}", names[i], round(float(means[i]) / total, 4)) for i in order]


@dataclass(frozen=True)
class Gateway:
    """An application, a client of it and its parts."""

    client: FlaskClient
    services: Services
    triton: StubTriton

    @property
    def admission(self) -> Admission:
        """The admission of the only model."""
        return self.services.admissions.of("colours")

    def classify(self, data: bytes | None = None, query: str = "") -> TestResponse:
        """Post one raw picture."""
        body = picture() if data is None else data
        return self.client.post(f"/v1/classify{query}", data=body, content_type="image/jpeg")


Start = Callable[..., Gateway]
