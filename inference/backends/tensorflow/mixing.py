"""Finds out whether the rows of a batch depend on each other, by trying it.

An operation's kind alone does not tell: a mean, a transposition or the suppression of overlapping
boxes may work within one row or across rows.
"""

from typing import Any

import numpy as np

from inference.backends.tensorflow.task import Array

# How large the values of the rows are, and which rows are watched: the largest and the smallest.
# If rows are sorted, reversed, counted, summed up or compared, one of these two changes.
LEVELS = np.array([0.8, -0.3, 0.5])
WATCHED = (0, 1)
SCALES = (1, 300)  # numbers around 0, and those of pictures, which a model may treat differently
# For every size that varies, so that related ones agree. No usual network shrinks the first to
# nothing; the second suits those that need more, or a multiple of 7 or 14.
VARYING = (32, 224)
ROUNDING = 1e-3  # of the largest value, if the same is computed in the same way
ROUGH = 0.05  # at 16 and 8 bits, where a single row may be computed in another way than several


def mixes_rows(compiled: Any, precision: str) -> bool:
    """Tell whether other rows change a row's answer; yes if the model refuses all trials."""
    for size in VARYING:
        try:
            return _counts_rows(compiled, size, precision) or any(
                _heeds_company(compiled, size, scale) for scale in _scales(compiled)
            )
        except RuntimeError:
            continue
    return True


def _scales(compiled: Any) -> tuple[int, ...]:
    """Leave out the second scale if no input has it: a large model takes long for each."""
    kinds = [np.dtype(port.get_element_type().to_dtype()).kind for port in compiled.inputs]
    return SCALES if "f" in kinds else SCALES[:1]


def _counts_rows(compiled: Any, size: int, precision: str) -> bool:
    """Tell whether a row's answer differs between alone and among its twins, or rows are lost."""
    row = [array[:1] for array in _rows(compiled, size, 1)]
    alone, among_twins = _infer(compiled, row), _infer(compiled, _twins(row))
    if any(output.shape[:1] != LEVELS.shape for output in among_twins):
        return True
    tolerance = ROUNDING if precision == "f32" else ROUGH
    pairs = zip(alone, among_twins, strict=True)
    return not all(_agree(one, many[:1], tolerance) for one, many in pairs)


def _heeds_company(compiled: Any, size: int, scale: int) -> bool:
    """Tell whether a row's answer among others differs from that in any place among its twins.

    The shapes are the same, so rounding is the same too.
    """
    rows = _rows(compiled, size, scale)
    together = _infer(compiled, rows)
    for row in WATCHED:
        among_twins = _infer(compiled, _twins([array[row : row + 1] for array in rows]))
        for twins, others in zip(among_twins, together, strict=True):
            if twins.shape != others.shape or not all(
                _agree(twin, others[row], ROUNDING) for twin in twins
            ):
                return True
    return False


def _twins(row: list[Array]) -> list[Array]:
    return [array.repeat(len(LEVELS), axis=0) for array in row]


def _infer(compiled: Any, inputs: list[Array]) -> list[Array]:
    """Infer with a new request, because a model keeps its state in the request."""
    request = compiled.create_infer_request()
    request.infer(dict(enumerate(inputs)))
    return [tensor.data.copy() for tensor in request.output_tensors]


def _rows(compiled: Any, size: int, scale: int) -> list[Array]:
    return [_values(port, size, scale) for port in compiled.inputs]


def _values(port: Any, varying: int, scale: int) -> Array:
    """Make the rows of one input, the same each time."""
    sizes = [varying if size.is_dynamic else size.get_length() for size in port.partial_shape]
    shape = (len(LEVELS), *sizes[1:])
    spread = np.random.default_rng(0).random(shape) / 10
    values: Array = LEVELS.reshape(-1, *[1] * (len(shape) - 1)) + spread
    kind = np.dtype(port.get_element_type().to_dtype())
    if kind.kind == "f":
        return (values * scale).astype(kind)
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
