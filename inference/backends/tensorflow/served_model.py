"""One loaded model: its configuration, its engine and how requests become answers."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.cpus import available_cpus
from inference import model_config
from inference.backends.tensorflow.batcher import Batcher
from inference.backends.tensorflow.configuration import check, offered
from inference.backends.tensorflow.engines import Engine, load_engine
from inference.backends.tensorflow.errors import RequestError
from inference.backends.tensorflow.label_files import check_label_files
from inference.backends.tensorflow.location import savedmodel_of
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.parameters import Options
from inference.backends.tensorflow.signatures import read_signature
from inference.backends.tensorflow.task import Array, Task
from inference.settings import cache_dir


@dataclass(frozen=True)
class ServedModel:
    """A signature, the engine that runs it and the batcher in front of it."""

    task: Task
    engine: Engine
    batcher: Batcher

    @classmethod
    def load(cls, args: Mapping[str, str], log: Log) -> "ServedModel":
        """Load what Triton's `initialize` arguments name. Raises LoadError."""
        config = json.loads(args["model_config"])
        version = Path(args["model_repository"], args["model_version"])
        task = _task(config, version)
        engine = load_engine(task, log)
        log.info(
            f"version {args['model_version']} runs signature '{task.signature.name}' with"
            f" {engine.name} at {engine.precision} on {task.threads} threads"
        )
        batched = task.max_batch_size > 0
        if batched and engine.mixes_rows:
            log.info("its rows depend on each other, so each request is computed alone")
        batcher = Batcher(engine.run, batched=batched and not engine.mixes_rows)
        return cls(task, engine, batcher)

    def answer(
        self, requests: Sequence[Mapping[str, Array] | RequestError]
    ) -> list[Mapping[str, Array] | RequestError]:
        """Answer every request with its outputs or its own error; unreadable ones are errors."""
        readable = [request for request in requests if not isinstance(request, RequestError)]
        answers = iter(self.batcher.answer(readable))
        return [r if isinstance(r, RequestError) else next(answers) for r in requests]

    def labels(self, args: Mapping[str, str]) -> dict[str, str]:
        """Describe the model for the metric `edgelens_model_info`."""
        return {
            "model": args["model_name"],
            "version": args["model_version"],
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "weights": self.task.options.weights,
        }


def _task(config: Mapping[str, Any], version: Path) -> Task:
    """Put together what the engine is to do. Raises LoadError if it cannot be done."""
    options = Options.from_config(config, version.name)
    savedmodel = savedmodel_of(config, version)
    signature = read_signature(savedmodel, options.tag, options.signature)
    check(config, signature)
    check_label_files(config, version.parent)
    return Task(
        savedmodel=savedmodel,
        signature=offered(config, signature),
        options=options,
        # Instances work at the same time: they share the quota.
        threads=options.threads or max(1, available_cpus() // model_config.instances(config)),
        cache=cache_dir(os.environ),
        max_batch_size=int(config.get("max_batch_size", 0)),
    )
