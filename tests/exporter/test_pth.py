import collections
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from exporter.efficientnet_lite import imagenet_file
from exporter.errors import ExportError
from exporter.pth import MAGIC, PROTOCOL, read_pth
from tests.exporter.checkpoints import Call, Reference, Storage, opcodes, write_pth

HEADER = (MAGIC, PROTOCOL, {"little_endian": True})
VALUES = np.arange(12, dtype="<f4")


def checkpoint(tensors: dict[str, object], values: np.ndarray = VALUES) -> bytes:
    file = io.BytesIO()
    for part in HEADER:
        pickle.dump(part, file, 2)
    file.write(b"\x80\x02" + opcodes(tensors) + b".")
    pickle.dump(["key"], file, 2)
    file.write(len(values).to_bytes(8, "little") + values.tobytes())
    return file.getvalue()


def tensor(
    offset: int, shape: tuple[int, ...], strides: tuple[int, ...], view: object = None
) -> Call:
    reference = Reference(("storage", Storage, "key", "cpu", len(VALUES), view))
    rest = (False, collections.OrderedDict())
    return Call("torch._utils", "_rebuild_tensor_v2", reference, offset, shape, strides, *rest)


def read(path: Path, data: bytes) -> dict[str, np.ndarray]:
    path.write_bytes(data)
    return read_pth(path)


def test_a_real_checkpoint_is_read_whole() -> None:
    tensors = read_pth(imagenet_file())
    assert len(tensors) == 296
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert tensors["_bn0.running_var"].min() >= 0


def test_strides_and_offsets_are_followed(tmp_path: Path) -> None:
    tensors = read(tmp_path / "a.pth", checkpoint({"turned": tensor(2, (2, 3), (1, 3))}))
    assert tensors["turned"].tolist() == [[2, 5, 8], [3, 6, 9]]


def test_a_zip_archive_is_read(tmp_path: Path) -> None:
    written = {"turned": VALUES.reshape(3, 4).T, "flat": VALUES}
    read_back = read_pth(write_pth(tmp_path / "a.pth", written))
    assert {name: array.tolist() for name, array in read_back.items()} == {
        name: array.tolist() for name, array in written.items()
    }


def test_a_zip_archive_of_a_big_endian_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="big-endian"):
        read_pth(write_pth(tmp_path / "a.pth", {"a": VALUES}, "big"))


def test_a_zip_archive_without_tensors_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as file:
        file.writestr("readme.txt", "nothing")
    with pytest.raises(ExportError, match="it has no data"):
        read_pth(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "call",
    [Call("os", "system", "true"), Call("builtins", "eval", "1"), Call("torch", "load", "x")],
    ids=["os.system", "eval", "torch.load"],
)
def test_a_pickle_that_calls_something_is_refused(tmp_path: Path, call: Call) -> None:
    with pytest.raises(ExportError, match=f"{call.module}.{call.name} is not allowed"):
        read(tmp_path / "evil.pth", checkpoint({"a": call}))


def test_a_view_of_another_storage_is_refused(tmp_path: Path) -> None:
    part = tensor(0, (6,), (1,), view=("other", 6, 6))
    with pytest.raises(ExportError, match="of this kind is not allowed"):
        read(tmp_path / "view.pth", checkpoint({"a": part}))


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((4, 4), (4, 1), 0), ((12,), (1,), 1), ((2,), (-1,), 5), ((3,), (1, 1), 0), ((99,), (0,), 0)],
    ids=["too-large", "offset", "negative-stride", "ranks-differ", "stride-zero"],
)
def test_a_tensor_outside_its_storage_is_refused(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    with pytest.raises(ExportError, match="a tensor"):
        read(tmp_path / "a.pth", checkpoint({"a": tensor(offset, shape, strides)}))


@pytest.mark.parametrize("length", [0, 5, 60, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, length: int) -> None:
    data = checkpoint({"a": tensor(0, (12,), (1,))})
    with pytest.raises(ExportError, match="not a PyTorch checkpoint"):
        read(tmp_path / "cut.pth", data[:length])


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="No such file"):
        read_pth(tmp_path / "none.pth")
