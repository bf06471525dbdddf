"""Classify the pictures of one request: decode, batch, infer, and give each its own result."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from gateway.catalog import Catalog
from gateway.deadline import Deadline
from gateway.decoder import Decoded, Decoder
from gateway.errors import EdgeLensError, ModelNotReady, UnknownModel
from gateway.labels import Prediction
from gateway.model import Model
from gateway.options import ClassifyOptions
from gateway.shares import Shares
from gateway.triton import Answer, InferenceClient, Row, Tensor
from gateway.uploads import Picture


@dataclass(frozen=True)
class Result:
    """The outcome for one picture: its predictions, best first, or its error."""

    filename: str | None
    predictions: Sequence[Prediction] = ()
    error: EdgeLensError | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the picture's entry in the answer."""
        if self.error:
            return {"filename": self.filename, "error": self.error.as_json()}
        return {
            "filename": self.filename,
            "predictions": [prediction.as_json() for prediction in self.predictions],
        }


@dataclass(frozen=True)
class Classification:
    """The outcome of a request: the model and version that answered, and one result per picture."""

    model: Model
    version: str
    results: Sequence[Result]

    @property
    def weights(self) -> str:
        """Return where the weights of the version that answered come from."""
        return self.model.weights_of(self.version)


class Classifier:
    """Answer requests with the catalogue's models."""

    def __init__(
        self,
        catalog: Catalog,
        triton: InferenceClient,
        decoder: Decoder,
        shares: dict[str, Shares],
    ) -> None:
        self._catalog = catalog
        self._triton = triton
        self._decoder = decoder
        self._shares = shares
        self._chance = random.Random()  # noqa: S311 (draws A/B versions, no secrets)
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="infer")

    def classify(
        self, pictures: Sequence[Picture], options: ClassifyOptions, deadline: Deadline
    ) -> Classification:
        """Classify every picture; one bad picture fails alone.

        Raises an EdgeLensError for what fails the whole request: no such model, Triton away, too
        late.
        """
        model, version = self._choose(options)
        decoded = list(self._decoder.decode(pictures, model.contract, deadline))
        tensors = [item for item in decoded if not isinstance(item, EdgeLensError)]
        try:
            version, rows = self._infer_once_consistent(model, version, tensors, options, deadline)
        except (UnknownModel, ModelNotReady):
            if not version or options.version or options.ab:
                raise
            # The version drawn from the configured shares was retired since: any other will do.
            model = self._catalog.find(model.name)
            version, rows = self._infer_once_consistent(model, "", tensors, options, deadline)
        found = iter(rows)
        results = [
            _result(picture, item, found, options.min_score)
            for picture, item in zip(pictures, decoded, strict=True)
        ]
        return Classification(model, version or model.version, results)

    def _choose(self, options: ClassifyOptions) -> tuple[Model, str]:
        """Return the model and the version to ask Triton for; "" lets Triton choose the version."""
        name = options.model or self._catalog.default()
        version = options.version
        if not version and options.ab:
            version = options.ab.choose(None, self._chance)
        elif not version and name in self._shares:
            loaded = self._catalog.models().get(name, {})
            version = self._shares[name].choose(loaded, self._chance)
        return self._catalog.find(name, version), version

    def _infer_once_consistent(
        self,
        model: Model,
        version: str,
        tensors: Sequence[Tensor],
        options: ClassifyOptions,
        deadline: Deadline,
    ) -> tuple[str, list[Row]]:
        """Infer all tensors with the same version, even while versions are being switched."""
        answers = self._infer(model, version, tensors, options.top_k, deadline)
        if len({answer.version for answer in answers}) > 1:
            newest = max((answer.version for answer in answers), key=int)
            answers = self._infer(model, newest, tensors, options.top_k, deadline)
        rows = [row for answer in answers for row in answer.rows]
        return (answers[0].version if answers else version), rows

    def _infer(
        self, model: Model, version: str, tensors: Sequence[Tensor], top_k: int, deadline: Deadline
    ) -> list[Answer]:
        size = model.max_batch_size or 1
        batches = [tensors[at : at + size] for at in range(0, len(tensors), size)]

        def infer(batch: Sequence[Tensor]) -> Answer:
            return self._triton.infer(model, version, batch, top_k, deadline)

        try:
            # A lone batch needs no second thread. If one of several fails, none of the rest begins.
            each = self._pool.map if len(batches) > 1 else map
            return list(each(infer, batches))
        except (UnknownModel, ModelNotReady) as error:
            # It was loaded a moment ago: it is being switched or reloaded.
            self._catalog.wake()
            others = set(self._catalog.models().get(model.name, {})) - {version}
            if version and others:
                raise UnknownModel("No such version of this model is loaded.") from error
            raise ModelNotReady("This model is being reloaded; try again shortly.") from error

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._decoder.close()


def _result(picture: Picture, item: Decoded, rows: Iterator[Row], min_score: float) -> Result:
    found = item if isinstance(item, EdgeLensError) else next(rows)
    if isinstance(found, EdgeLensError):
        return Result(picture.filename, error=found)
    best = [prediction for prediction in found if prediction.probability >= min_score]
    return Result(picture.filename, best)
