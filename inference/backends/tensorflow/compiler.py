"""A model as OpenVINO reads it, and how it is compiled for this machine's cores."""

from dataclasses import dataclass, field
from typing import Any

import openvino as ov

from inference.backends.tensorflow.conversion import read_converted
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.precision import float_precision, int8_model
from inference.backends.tensorflow.task import Task

# OpenVINO keeps what it made for each operation and size, by default 5000 of them: where the sizes
# of pictures vary, that takes two gigabytes. Making it again takes no measurable time.
KEPT_SIZES = 1000


@dataclass(frozen=True)
class Compiler:
    """An `openvino.Model` that was read, and the precision to compile it at."""

    model: Any
    precision: str
    core: Any = field(default_factory=ov.Core)

    @classmethod
    def read(cls, task: Task, precision: str, log: Log) -> "Compiler":
        """Read the model. Raises RuntimeError or ValueError with OpenVINO's reason."""
        core = ov.Core()
        if precision == "int8":
            return cls(core.read_model(int8_model(task.savedmodel)), precision, core)
        return cls(read_converted(core, task, precision == "bf16", log), precision, core)

    @property
    def weights(self) -> int:
        """Return the bytes of the model's constants."""
        return sum(
            constant.get_byte_size()
            for constant in self.model.get_ops()
            if constant.get_type_name() == "Constant"
        )

    def keep_outputs(self, names: set[str]) -> None:
        """Remove each output that has none of these names, and what only it needs."""
        for result in self.model.get_results():
            if not result.output(0).get_names() & names:
                self.model.remove_result(result)

    def only_rows_vary(self) -> bool:
        """Tell whether every tensor has any number of rows, and no other size varies."""
        tensors = [*self.model.inputs, *self.model.outputs]
        shapes = [tensor.partial_shape for tensor in tensors]
        return all(
            shape.rank.is_static
            and len(shape) > 0
            and shape[0].is_dynamic
            and all(size.is_static for size in list(shape)[1:])
            for shape in shapes
        )

    def fix_rows(self, rows: int) -> None:
        """Fix the number of rows for which the model is compiled from now on."""
        self.model.reshape({
            port: ov.PartialShape([rows, *list(port.partial_shape)[1:]])
            for port in self.model.inputs
        })  # fmt: skip

    def compile(self, threads: int, streams: int) -> Any:
        """Compile the model so that each stream runs a request on its share of the threads."""
        settings = {
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            # What stays unquantised in an int8 model is computed in this.
            "INFERENCE_PRECISION_HINT": (
                float_precision() if self.precision == "int8" else self.precision
            ),
            "CPU_RUNTIME_CACHE_CAPACITY": KEPT_SIZES,
        }
        return self.core.compile_model(self.model, "CPU", settings)
