"""Batches give the same answers, whether their rows run together or apart."""

import threading

import numpy as np
import openvino as ov
import pytest
from openvino import Type
from openvino import opset13 as ops
from openvino.op.util import Variable, VariableInfo

from inference.backends.tensorflow.batch_runner import MOST_ROWS, BatchRunner
from inference.backends.tensorflow.compiler import Compiler
from inference.backends.tensorflow.idle import Idle
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.mixing import mixes_rows
from inference.backends.tensorflow.openvino_engine import OpenVinoEngine
from inference.backends.tensorflow.parameters import Options
from inference.backends.tensorflow.row_runner import LARGEST_WEIGHTS, QUEUED, RowRunner
from inference.backends.tensorflow.signatures import read_signature
from inference.backends.tensorflow.task import Task

WIDTH, CORES = 4, 2
WEIGHTS = np.arange(WIDTH * 3, dtype=np.float32).reshape(WIDTH, 3)


def compiler(rows=-1, width=WIDTH, weights=WEIGHTS):
    """Build `product = a x weights` and `total = a + b`, of two inputs."""
    a, b = (ops.parameter([rows, width], np.float32, name) for name in "ab")
    outputs = [ops.matmul(a, ops.constant(weights), False, False), ops.add(a, b)]
    return Compiler(ov.Model(outputs, [a, b]), "f32")


def together(made, cores):
    return BatchRunner(made.compile(cores, streams=1), may_be_cut=True)


def inputs(rows):
    values = np.random.default_rng(rows).standard_normal((2, rows, WIDTH))
    return dict(enumerate(values.astype(np.float32)))


@pytest.mark.parametrize("kind", [together, RowRunner])
@pytest.mark.parametrize("rows", [1, 2, 3, MOST_ROWS, MOST_ROWS + 1, 2 * QUEUED * CORES + 1])
def test_each_row_gets_its_own_answer(kind, rows):
    feed = inputs(rows)
    product, total = kind(compiler(), CORES).run(feed, rows)
    np.testing.assert_allclose(product, feed[0] @ WEIGHTS, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(total, feed[0] + feed[1], rtol=1e-6)


@pytest.mark.parametrize("kind", [together, RowRunner])
def test_an_answer_outlives_the_next_batch_of_many_rows(kind):
    model = kind(compiler(), CORES)
    rows = MOST_ROWS + 1
    product, _ = model.run(inputs(rows), rows)
    kept = product.copy()
    model.run(inputs(rows + 1), rows + 1)
    np.testing.assert_array_equal(product, kept)


def test_a_large_batch_is_inferred_in_parts_and_its_memory_given_back():
    model, given_back, sizes = together(compiler(), CORES), threading.Event(), []
    infer = model._infer

    def counted(feed, **options):
        sizes.append(len(feed[0]))
        return infer(feed, **options)

    model._infer, model._idle = counted, Idle(given_back.set, seconds=0.01)
    model.run(inputs(64), 64)
    assert sum(sizes) == 64
    assert len(sizes) > 1
    assert given_back.wait(10)


class Request:
    """Runs a row until it is waited for, or fails to begin."""

    def __init__(self, fails):
        self.fails, self.runs = fails, False

    def start_async(self, feed, share_inputs):
        if self.fails:
            raise RuntimeError
        self.runs = True

    def wait(self):
        self.runs = False


def test_no_row_reads_the_inputs_after_another_has_failed():
    model = RowRunner(compiler(), CORES)
    model._at_once = [Request(fails=False), Request(fails=True)]
    with pytest.raises(RuntimeError):
        model.run(inputs(2), 2)
    assert not any(request.runs for request in model._at_once)


@pytest.mark.parametrize("rows", [1, 5])
def test_a_bad_input_fails_and_the_next_one_does_not(rows):
    model = RowRunner(compiler(), CORES)
    bad = {position: array[:, :-1].copy() for position, array in inputs(rows).items()}
    with pytest.raises(RuntimeError):
        model.run(bad, rows)
    product, _ = model.run(inputs(rows), rows)
    np.testing.assert_allclose(product, inputs(rows)[0] @ WEIGHTS, rtol=1e-5, atol=1e-5)


def squares():
    """Build the sum of a product of two matrices, whose sides are the input's two numbers."""
    sides = ops.parameter([-1, 2], np.int64, "sides")
    ones = ops.broadcast(ops.constant(np.float32(1)), ops.squeeze(sides, 0))
    product = ops.matmul(ones, ones, False, True)
    total = ops.reduce_sum(product, np.array([0, 1]), keep_dims=True)
    return RowRunner(Compiler(ov.Model([total], [sides]), "f32"), CORES)


def test_all_rows_are_done_when_the_first_one_has_failed_while_it_ran():
    model = squares()
    with pytest.raises(RuntimeError):
        model.run({0: np.array([[-5, 1], *[[2000, 2000]] * 3])}, 4)
    assert all(request.wait_for(0) for request in model._at_once[1:])


def test_a_row_that_failed_while_it_ran_does_not_fail_the_next_batch():
    model = squares()
    with pytest.raises(RuntimeError):
        model.run({0: np.array([[2, 3], [2, 3], [2, 3], [-5, 1]])}, 4)
    (totals,) = model.run({0: np.array([[2, 3], [3, 2]])}, 2)
    assert totals.ravel().tolist() == [12, 18]


def test_rows_run_apart_only_where_nothing_else_varies():
    assert RowRunner.suit(compiler())
    assert not RowRunner.suit(compiler(rows=1))
    assert not RowRunner.suit(compiler(width=-1))


def test_rows_of_a_model_that_remembers_run_together():
    """Each infer request has its own state: apart, each would see only a part of the input."""
    a = ops.parameter([-1, WIDTH], np.float32, "a")
    known = VariableInfo()
    known.data_shape, known.data_type, known.variable_id = a.partial_shape, Type.f32, "sum"
    variable = Variable(known)
    total = ops.add(a, ops.read_value(a, variable))
    model = ov.Model([ops.result(total)], [ops.assign(total, variable)], [a], "sum")
    assert not RowRunner.suit(Compiler(model, "f32"))


def across(rows, axis):
    return ops.softmax(rows, axis)


def centred(rows, axis):
    return ops.subtract(rows, ops.reduce_mean(rows, ops.constant([axis]), keep_dims=True))


def summed(rows, axis):
    return ops.cum_sum(rows, ops.constant(axis))


def rolled(rows, axis):
    return ops.roll(rows, ops.constant(1), ops.constant(axis))


def above_least(rows, axis):
    """Find the least as converted TensorFlow models do: transpose, then search the last axis."""
    order = ops.constant([1 - axis, axis])
    least = ops.topk(ops.transpose(rows, order), ops.constant(1), 1, "min", "value").output(0)
    return ops.subtract(rows, ops.transpose(least, order))


@pytest.mark.parametrize("layer", [across, centred, summed, rolled, above_least])
@pytest.mark.parametrize(("axis", "mixes"), [(0, True), (1, False)])
def test_a_batch_whose_rows_depend_on_each_other_is_computed_whole(layer, axis, mixes):
    a = ops.parameter([-1, WIDTH], np.float32, "a")
    made = Compiler(ov.Model([layer(a, axis)], [a]), "f32")
    rows = 2 * MOST_ROWS
    feed = {0: inputs(rows)[0]}
    (whole,) = ov.Core().compile_model(made.model, "CPU")(feed).values()
    compiled = made.compile(CORES, streams=1)
    assert mixes_rows(compiled, "f32") == mixes
    (found,) = BatchRunner(compiled, may_be_cut=not mixes).run(feed, rows)
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)


def scaled_if_large(rows):
    """Scale rows like pictures if the largest value of all rows exceeds 1, as many models do."""
    largest = ops.reduce_max(rows, ops.constant([0, 1]), keep_dims=True)
    return ops.select(
        ops.greater(largest, ops.constant(np.float32(1))),
        ops.divide(rows, ops.constant(np.float32(255))),
        rows,
    )


def equal_rows(rows):
    """Count for each row the rows that equal it; other rows do so only by design."""
    first, second = (ops.unsqueeze(rows, ops.constant(axis)) for axis in (0, 1))
    same = ops.reduce_logical_and(ops.equal(first, second), ops.constant([2]))
    counted = ops.reduce_sum(ops.convert(same, np.float32), ops.constant([1]), True)
    return ops.add(ops.multiply(rows, ops.constant(np.float32(0))), counted)


def centred_in_sevens(rows):
    """Refuse anything but a multiple of seven, as models that work on patches do."""
    return centred(ops.reshape(rows, ops.constant([0, -1, 7]), special_zero=True), 0)


def count(rows):
    number = ops.gather(ops.shape_of(rows), ops.constant([0]), ops.constant(0))
    return ops.convert(number, np.float32)


def divided_by_rows(rows):
    return ops.divide(rows, count(rows))


def numbered(rows):
    """Add its place to each row."""
    ones = ops.exp(ops.subtract(rows, rows))
    return ops.add(rows, ops.cum_sum(ones, ops.constant(0)))


def positive_rows(rows):
    """Leave out each row whose sum is negative."""
    sums = ops.reduce_sum(rows, ops.constant([1]), False)
    kept = ops.non_zero(ops.greater(sums, ops.constant(np.float32(0))))
    return ops.gather(rows, ops.squeeze(kept, ops.constant([0])), ops.constant(0))


def width(rows):
    """Return the same for any rows, but no row for each."""
    return ops.gather(ops.shape_of(rows), ops.constant([1]), ops.constant(0))


@pytest.mark.parametrize(
    "layer",
    [
        scaled_if_large,
        equal_rows,
        centred_in_sevens,
        divided_by_rows,
        numbered,
        positive_rows,
        width,
    ],
)
def test_rows_that_depend_on_each_other_only_at_times_are_found(layer):
    a = ops.parameter([-1, -1], np.float32, "a")
    compiled = Compiler(ov.Model([ops.relu(a), layer(a)], [a]), "f32").compile(CORES, streams=1)
    assert mixes_rows(compiled, "f32")


@pytest.mark.parametrize(("precision", "mixes"), [("f32", True), ("bf16", False)])
def test_a_row_alone_may_be_rounded_in_another_way_only_at_16_bits(precision, mixes):
    a = ops.parameter([-1, WIDTH], np.float32, "a")
    alone = ops.equal(count(a), ops.constant(np.float32(1)))
    rounded = ops.select(alone, ops.multiply(a, ops.constant(np.float32(1.01))), a)
    compiled = Compiler(ov.Model([rounded], [a]), "f32").compile(CORES, streams=1)
    assert mixes_rows(compiled, precision) == mixes


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.int64, np.float16])
def test_rows_of_every_type_are_tried_with_different_values(kind):
    a = ops.parameter([-1, WIDTH], kind, "a")
    rows = centred(ops.convert(a, np.float32), 0)
    assert mixes_rows(Compiler(ov.Model([rows], [a]), "f32").compile(CORES, streams=1), "f32")


def test_whole_numbers_are_compared_exactly():
    a = ops.parameter([-1, WIDTH], np.float32, "a")
    counted = ops.add(ops.multiply(a, ops.constant(np.float32(0))), count(a))
    large = ops.convert(ops.add(counted, ops.constant(np.float32(100_000))), np.int32)
    for whole, mixes in ((large, True), (ops.convert(a, np.int32), False)):
        compiled = Compiler(ov.Model([whole], [a]), "f32").compile(CORES, streams=1)
        assert mixes_rows(compiled, "f32") == mixes


def test_rows_that_refuse_every_trial_are_not_joined():
    a = ops.parameter([-1, -1], np.float32, "a")
    odd = ops.reshape(a, ops.constant([0, -1, 11]), special_zero=True)
    assert mixes_rows(Compiler(ov.Model([odd], [a]), "f32").compile(CORES, streams=1), "f32")


@pytest.mark.parametrize(
    ("options", "mixes"), [(Options(), True), (Options(has_contract=True), False)]
)
def test_only_a_model_without_a_picture_s_contract_is_tried(
    foreign, tmp_path, lines, options, mixes
):
    savedmodel = foreign / "repository" / "centred" / "1" / "model.savedmodel"
    task = Task(savedmodel, read_signature(savedmodel), options, 1, tmp_path, 16)
    assert OpenVinoEngine(task, Log(lines, "model")).mixes_rows == mixes


def test_rows_of_a_model_with_large_weights_run_together():
    columns = LARGEST_WEIGHTS // 4 // WIDTH
    assert RowRunner.suit(compiler(weights=np.zeros((WIDTH, columns), np.float32)))
    assert not RowRunner.suit(compiler(weights=np.zeros((WIDTH, columns + 1), np.float32)))


def test_a_few_rows_get_all_cores():
    """Streams of one core each would leave most of eight cores idle."""
    model = RowRunner(compiler(), 8)
    model._at_once = []
    model.run(inputs(4), 4)


def test_rows_that_run_apart_are_compiled_as_one():
    model = RowRunner(compiler(), CORES)
    for compiled in (model._together, model._apart):
        assert [list(port.shape) for port in compiled.inputs] == [[1, WIDTH]] * 2


@pytest.mark.parametrize("axes", [[0], [0, 1]], ids=["without rows", "a number"])
def test_an_output_that_nobody_may_ask_for_does_not_hinder_rows(axes):
    a = ops.parameter([-1, WIDTH], np.float32, "a")
    row, total = ops.add(a, a), ops.reduce_sum(a, ops.constant(axes), False)
    row.output(0).set_names({"row"})
    made = Compiler(ov.Model([row, total], [a]), "f32")
    assert not RowRunner.suit(made)
    made.keep_outputs({"row"})
    assert RowRunner.suit(made)
    assert len(made.model.outputs) == 1
