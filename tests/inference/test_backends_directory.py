"""Assembling the backend directory."""

import os
from pathlib import Path

import pytest

from inference.tritonserver.backends_directory import assemble_backends, python_based
from inference.tritonserver.installation import Installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    backends = tmp_path / "triton" / "backends"
    for name in ("python", "onnxruntime", "tensorflow"):
        (backends / name).mkdir(parents=True)
    (backends / "python" / "libtriton_python.so").write_text("library")
    (backends / "onnxruntime" / "libtriton_onnxruntime.so").write_text("library")
    stub = tmp_path / "triton" / "stubs" / "triton_python_backend_stub"
    stub.parent.mkdir()
    stub.write_text("stub")
    stub.chmod(0o444)
    return Installation(tmp_path / "tritonserver", backends, tmp_path / "caches", stub, ())


@pytest.fixture
def assembled(installation: Installation, tmp_path: Path) -> Path:
    own = tmp_path / "own"
    for path in ("tensorflow/model.py", "tensorflow/batch.py", "unfinished/notes.txt"):
        (own / path).parent.mkdir(parents=True, exist_ok=True)
        (own / path).write_text("ours")
    (own / "tensorflow" / "__pycache__").mkdir()
    assemble_backends(installation, tmp_path / "backends", own)
    return tmp_path / "backends"


def test_stub_is_a_copy_that_its_user_may_change(assembled: Path) -> None:
    stub = assembled / "python" / "triton_python_backend_stub"
    assert not stub.is_symlink()
    assert os.access(stub, os.X_OK)
    assert stub.read_text() == "stub"


def test_python_library_lies_where_triton_insists(assembled: Path) -> None:
    library = assembled / "python" / "libtriton_python.so"
    assert library.resolve().is_relative_to(assembled.resolve())
    assert library.read_text() == "library"


def test_other_backends_of_triton_are_kept(assembled: Path) -> None:
    assert (assembled / "onnxruntime" / "libtriton_onnxruntime.so").read_text() == "library"


def test_our_backend_stands_before_tritons_of_the_same_name(assembled: Path) -> None:
    assert sorted(p.name for p in (assembled / "tensorflow").iterdir()) == ["batch.py", "model.py"]
    assert (assembled / "tensorflow" / "model.py").read_text() == "ours"


def test_directory_without_a_model_is_no_backend(assembled: Path) -> None:
    assert not (assembled / "unfinished").exists()
    assert python_based(assembled) == ["python", "tensorflow"]


def test_directory_is_private(assembled: Path) -> None:
    assert assembled.stat().st_mode & 0o777 == 0o700
