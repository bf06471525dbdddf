"""The weights are in memory only once, and no traffic takes more and more of it."""

import os
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from inference.backends.tensorflow.batch_runner import BatchRunner
from inference.backends.tensorflow.compiler import Compiler
from inference.backends.tensorflow.memory import release

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(path):
    """Sum up the resident kilobytes of a file's mappings in this process."""
    total, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            counts = line.endswith(str(path))
        elif counts and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def test_mapped_weights_are_dropped_and_read_again_when_needed(tmp_path):
    path = tmp_path / "model.bin"
    values = np.arange(1 << 20, dtype=np.float32)
    values.tofile(path)
    mapped = np.memmap(path, np.float32, "r")
    assert mapped.sum() == values.sum()
    assert resident(path) >= 4096
    release()
    assert resident(path) < 512
    assert mapped.sum() == values.sum()


def resident_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])


def conv(layer, channels, out):
    weights = ops.constant(np.full((out, channels, 3, 3), 0.01, np.float32))
    return ops.relu(ops.convolution(layer, weights, [1, 1], [1, 1], [1, 1], [1, 1]))


def test_thousands_of_sizes_take_no_more_memory_than_hundreds():
    picture = layer = ops.parameter([-1, 3, -1, -1], np.float32)
    for channels, out in pairwise([3, 32, 64, 64, 64, 64]):
        layer = conv(layer, channels, out)
    compiled = Compiler(ov.Model([layer], [picture]), "f32").compile(2, streams=1)
    runner, taken = BatchRunner(compiled, may_be_cut=True), []
    for count, (height, width) in enumerate(product(range(8, 58), range(8, 48))):
        runner.run({0: np.zeros((1, 3, height, width), np.float32)}, 1)
        if count in (499, 1999):
            runner.release()
            taken.append(resident_pages() * PAGE)
    assert taken[1] - taken[0] < 100 << 20


def test_what_was_written_into_mapped_weights_is_kept(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(1 << 16))
    mapped = np.memmap(path, np.uint8, "c")
    mapped[:] = 7
    release()
    assert (mapped == 7).all()
