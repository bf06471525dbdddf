"""Finds out whether the rows of a batch depend on each other, by trying it.

What an operation does is not told by its kind alone: a mean, a transposition or the suppression of
overlapping boxes may be of one row or across them.
"""

from typing import Any

import numpy as np

from inference.backends.tensorflow.task import Array

# How large the values of each row are. Those that are watched are the largest and the smallest:
# sorted, turned round, counted, summed up or compared with the others, one of them is another.
LEVELS = np.array([0.8, 0.5, -0.3, -0.1])
WATCHED = (0, 2)
VARYING = 32  # whatever size varies: related ones agree, and no usual network shrinks it to nothing
TOLERANCES = {"f32": 1e-3}  # of the largest value
ROUGH = 0.05  # at 16 and 8 bits


def mixes_rows(compiled: Any, precision: str) -> bool:
    """Tell whether a row is answered otherwise in company; no, if the model refuses the trial."""
    if any(port.partial_shape.rank.is_dynamic for port in compiled.inputs):
        return False
    rows = [_rows(port) for port in compiled.inputs]
    tolerance = TOLERANCES.get(precision, ROUGH)
    try:
        together = _infer(compiled, rows)
        if any(output.shape[:1] != LEVELS.shape for output in together):
            return True
        for row in WATCHED:
            alone = _infer(compiled, [array[row : row + 1] for array in rows])
            pairs = zip(alone, together, strict=True)
            if not all(_agree(one, many[row : row + 1], tolerance) for one, many in pairs):
                return True
    except RuntimeError:
        pass
    return False


def _infer(compiled: Any, inputs: list[Array]) -> list[Array]:
    """Infer by a request of its own: what a model remembers, it remembers in that."""
    request = compiled.create_infer_request()
    request.infer(dict(enumerate(inputs)))
    return [tensor.data.copy() for tensor in request.output_tensors]


def _rows(port: Any) -> Array:
    """Make the rows of one input, the same each time."""
    sizes = [VARYING if size.is_dynamic else size.get_length() for size in port.partial_shape]
    shape = (len(LEVELS), *sizes[1:])
    spread = np.random.default_rng(0).random(shape) / 10
    values: Array = LEVELS.reshape(-1, *[1] * (len(shape) - 1)) + spread
    kind = np.dtype(port.get_element_type().to_dtype())
    if kind.kind == "f":
        return values.astype(kind)
    if kind == np.bool_:
        return np.asarray(values > 0)
    # Pictures need all of 8 bits, and indices have to stay within their table.
    counts: Array = (values - LEVELS.min()) * (200 if kind == np.uint8 else 5)
    return counts.astype(kind)


def _agree(one: Array, other: Array, tolerance: float) -> bool:
    """Compare a row's two answers: whole numbers exactly."""
    if one.shape != other.shape or one.dtype.kind != "f":
        return np.array_equal(one, other)
    finite = one[np.isfinite(one)].astype(np.float64)
    return np.allclose(one, other, 0, tolerance * np.abs(finite).max(initial=0), equal_nan=True)
