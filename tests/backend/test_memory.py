"""The weights are in memory only once."""

from pathlib import Path

import numpy as np

from inference.backends.tensorflow.memory import release


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


def test_what_was_written_into_mapped_weights_is_kept(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(1 << 16))
    mapped = np.memmap(path, np.uint8, "c")
    mapped[:] = 7
    release()
    assert (mapped == 7).all()
