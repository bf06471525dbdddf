"""The cache of converted models: fast, shared, and never a reason not to start."""

import multiprocessing
import os
import tempfile
from dataclasses import replace

import numpy as np
import openvino as ov
import openvino.opset13
import pytest

from inference.backends.tensorflow import conversion
from inference.backends.tensorflow.conversion import read_converted
from inference.backends.tensorflow.engines import load_engine
from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.log import Log
from inference.backends.tensorflow.parameters import Options
from inference.backends.tensorflow.signatures import read_signature
from inference.backends.tensorflow.task import Task
from tests.backend.lines import Lines


@pytest.fixture
def task(foreign, tmp_path):
    savedmodel = foreign / "parts" / "signatures" / "1" / "model.savedmodel"
    options = Options(engine="openvino", precision="f32")
    return Task(savedmodel, read_signature(savedmodel), options, 1, tmp_path / "cache", 4)


def answer(task, lines):
    engine = load_engine(task, Log(lines, "model"))
    return engine.run({"x": np.array([[3.0]], np.float32)})["y"].tolist()


def entries(task):
    return list(task.cache.glob("*/model.xml"))


def test_the_second_start_converts_nothing(task, lines):
    assert answer(task, lines) == answer(task, lines) == [[6]]
    assert len(lines.having("converted")) == 1
    assert len(entries(task)) == 1


@pytest.mark.parametrize("file", ["model.xml", "model.bin", "checksum"])
@pytest.mark.parametrize("damage", [b"", b"\0" * 64, b"\xff" * 64], ids=["empty", "zeros", "noise"])
def test_a_damaged_entry_is_made_anew(task, lines, file, damage):
    answer(task, lines)
    (entries(task)[0].parent / file).write_bytes(damage)
    assert answer(task, lines) == [[6]]
    assert len(lines.having("converted")) == 2
    assert answer(task, lines) == [[6]]
    assert len(lines.having("converted")) == 2


def test_a_lost_file_is_made_anew(task, lines):
    answer(task, lines)
    entries(task)[0].with_suffix(".bin").unlink()
    assert answer(task, lines) == [[6]]


def test_an_unusable_cache_does_not_stop_the_start(task, lines):
    task.cache.write_text("this is a file")
    assert answer(task, lines) == [[6]]
    assert lines.having("cannot keep the converted model")


def test_a_machine_without_room_for_temporary_files_is_told_so(task, lines, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(LoadError, match=r"OpenVINO cannot run .*No such file"):
        answer(task, lines)


def test_signatures_and_precisions_have_entries_of_their_own(task, lines):
    answer(task, lines)
    triple = replace(task, signature=read_signature(task.savedmodel, name="triple"))
    load_engine(triple, Log(lines, "model"))
    load_engine(replace(task, options=Options(precision="bf16")), Log(lines, "model"))
    assert len(entries(task)) == 3


def test_other_weights_have_an_entry_of_their_own(task, lines, foreign):
    answer(task, lines)
    other = foreign / "repository" / "versions" / "1" / "model.savedmodel"
    signature = read_signature(other)
    assert answer(replace(task, savedmodel=other, signature=signature), lines) == [[4]]


def convert(task, results):
    lines = Lines()
    model = read_converted(ov.Core(), task, False, Log(lines, "model"))
    results.put((len(model.inputs), lines.having("cannot")))


def test_starts_at_the_same_time_do_not_disturb_each_other(task):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    starts = [context.Process(target=convert, args=(task, results)) for _ in range(3)]
    for start in starts:
        start.start()
    answers = [results.get(timeout=120) for _ in starts]
    for start in starts:
        start.join()
    assert answers == [(1, [])] * 3
    assert len(entries(task)) == 1
    assert [path.name for path in task.cache.iterdir() if path.name.startswith(".new")] == []


def test_bf16_keeps_its_weights_in_16_bits(foreign, tmp_path, lines):
    savedmodel = foreign / "repository" / "nested" / "1" / "model.savedmodel"
    task = Task(savedmodel, read_signature(savedmodel), Options(), 1, tmp_path, 4)
    core, log = ov.Core(), Log(lines, "model")
    kinds = {
        half: {
            str(op.get_element_type())
            for op in read_converted(core, task, half, log).get_ops()
            if op.get_type_name() == "Constant" and list(op.shape) == [4, 4]
        }
        for half in (True, False)
    }
    assert kinds == {True: {"<Type: 'float16'>"}, False: {"<Type: 'float32'>"}}


def added(x, beyond):
    weights = np.array([[np.inf, beyond, np.nan, 1.0]], np.float32)
    return ov.opset13.add(x, ov.opset13.constant(weights)), weights


def multiplied(x, beyond):
    weights = np.array([[1.0, beyond, np.inf, 0.0]], np.float32)
    return ov.opset13.multiply(x, ov.opset13.constant(weights)), weights


def branched(x, beyond):
    """Add the weights in the branch that is taken, nothing in the other."""
    weights = np.array([[beyond, 1.0, 2.0, 3.0]], np.float32)
    ports = [ov.opset13.parameter([-1, 1], np.float32) for _ in range(2)]
    branches = [
        ov.Model([ov.opset13.add(port, ov.opset13.constant(values))], [port])
        for port, values in zip(ports, (weights, 0 * weights), strict=True)
    ]
    first = ov.opset13.reshape(x, ov.opset13.constant([-1]), False)
    choice = ov.opset13.if_op(ov.opset13.greater(first, np.float32(0)).output(0))
    choice.set_then_body(branches[0])
    choice.set_else_body(branches[1])
    choice.set_input(x.output(0), *ports)
    return choice.set_output(*(branch.results[0] for branch in branches)), weights


@pytest.fixture
def store(task, lines):
    """Convert another model in place of the task's."""

    def convert(result, x):
        made = ov.Model([result], [x])

        class Core:
            def read_model(self, path):
                return made if path.is_dir() else ov.Core().read_model(path)

        return read_converted(Core(), task, True, Log(lines, "model"))

    return convert


@pytest.mark.parametrize(
    ("use", "beyond"), [(added, 75_000.0), (added, -1e9), (multiplied, 1e-6), (multiplied, -1e-9)]
)
def test_constants_beyond_16_bits_are_not_cut(store, use, beyond):
    x = ov.opset13.parameter([-1, 1], np.float32, "x")
    result, weights = use(x, beyond)
    found = [op.data for op in store(result, x).get_ops() if op.get_type_name() == "Constant"]
    np.testing.assert_array_equal(found, [weights])


def test_an_entry_made_when_16_bits_cut_what_is_multiplied_is_not_used(store, monkeypatch):
    x = ov.opset13.parameter([-1, 1], np.float32, "x")
    result, weights = multiplied(x, 1e-6)
    with monkeypatch.context() as earlier:
        earlier.setattr(conversion, "FORMAT", "2")
        earlier.setattr(conversion, "_fits_half", lambda _: True)
        store(result, x)
    found = [op.data for op in store(result, x).get_ops() if op.get_type_name() == "Constant"]
    np.testing.assert_array_equal(found, [weights])


def test_constants_in_a_branch_are_not_cut(store):
    x = ov.opset13.parameter([-1, 1], np.float32, "x")
    result, weights = branched(x, 1e9)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    model = ov.Core().compile_model(store(result, x), "CPU", settings)
    np.testing.assert_array_equal(model(np.ones([1, 1], np.float32))[0], weights + 1)


def test_what_a_killed_conversion_left_is_removed_later(task, lines):
    old, young = task.cache / ".new-old", task.cache / ".new-young"
    for path in (old, young):
        (path / "entry").mkdir(parents=True)
    os.utime(old, (0, 0))
    answer(task, lines)
    assert not old.exists()
    assert young.exists()


def test_an_entry_out_of_use_is_removed_when_another_is_written(task, lines, foreign):
    answer(task, lines)
    (entry,) = (path.parent for path in entries(task))
    other = foreign / "repository" / "versions" / "1" / "model.savedmodel"
    os.utime(entry, (0, 0))
    answer(task, lines)  # used again: its time is today's
    answer(replace(task, savedmodel=other, signature=read_signature(other)), lines)
    assert entry.exists()
    os.utime(entry, (0, 0))
    answer(replace(task, options=Options(engine="openvino", precision="bf16")), lines)
    assert not entry.exists()
    assert len(entries(task)) == 2
