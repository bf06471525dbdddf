"""One way to configure a model: the values that are tuned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference import model_config
from inference.backends.tensorflow.parameters import Options


@dataclass(frozen=True)
class Candidate:
    """Some values; `threads` of 0 is an equal share of the CPUs, `delay` is in microseconds."""

    precision: str
    instances: int
    threads: int
    batch: int
    delay: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Candidate":
        """Read the values of a loaded model's completed configuration."""
        options = Options.from_config(config) if is_savedmodel(config) else Options()
        batching = config.get("dynamic_batching", {})
        return cls(
            precision=options.precision,
            instances=model_config.instances(config),
            threads=options.threads,
            batch=max([*batching.get("preferred_batch_size", []), 0]) or config["max_batch_size"],
            delay=int(batching.get("max_queue_delay_microseconds", 0)),
        )

    def apply(self, config: Any, default: "Candidate") -> None:
        """Write into a `ModelConfig` what differs from the default."""
        if self.instances != default.instances:
            del config.instance_group[:]
            config.instance_group.add(count=self.instances, kind="KIND_CPU")
        for name in ("precision", "threads"):
            if getattr(self, name) != getattr(default, name):
                config.parameters[name].string_value = str(getattr(self, name))
        if self.batch != default.batch:
            # A smaller max_batch_size would refuse clients who send as many rows as before.
            config.max_batch_size = max(self.batch, config.max_batch_size)
            config.dynamic_batching.preferred_batch_size[:] = [self.batch]
        if self.delay != default.delay:
            config.dynamic_batching.max_queue_delay_microseconds = self.delay

    def __str__(self) -> str:
        return (
            f"{self.precision}, {self.instances} x {self.threads or 'auto'} threads,"
            f" batch {self.batch}, delay {self.delay} us"
        )


def is_savedmodel(config: Mapping[str, Any]) -> bool:
    """Tell whether our SavedModel backend runs a model: it alone knows precision and threads."""
    return bool(config.get("backend") == "tensorflow")
