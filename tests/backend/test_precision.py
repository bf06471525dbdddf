"""Which precision `auto` becomes on which CPU."""

import pytest

from inference.backends.tensorflow.errors import LoadError
from inference.backends.tensorflow.parameters import Options
from inference.backends.tensorflow.precision import INT8_MODEL, choose_precision, float_precision
from inference.backends.tensorflow.task import Task

INTEL = "vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 "
AMD = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 "


def task(directory, precision):
    saved = directory / "model.savedmodel"
    return Task(saved, None, Options(precision=precision), 1, directory, max_batch_size=8)


@pytest.mark.parametrize(
    ("cpuinfo", "precision"),
    [
        (AMD + "avx512f avx512_bf16\n", "bf16"),
        (AMD + "avx512f\n", "f32"),
        (INTEL + "avx512_bf16 amx_bf16 amx_tile\n", "bf16"),
        (INTEL + "avx512_bf16 avx512_fp16\n", "f32"),
        (INTEL + "avx2\n", "f32"),
        ("Features\t: fp asimd\n", "f32"),
    ],
    ids=["Zen 4", "Zen 3", "AMX", "AMX hidden", "old", "ARM"],
)
def test_bf16_is_chosen_where_it_is_faster(tmp_path, cpuinfo, precision):
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo)
    assert float_precision(file) == precision


@pytest.mark.parametrize(
    ("wanted", "quantised", "precision"),
    [
        ("auto", True, "int8"),
        ("auto", False, "bf16"),
        ("f32", True, "f32"),
        ("f32", False, "f32"),
        ("int8", True, "int8"),
    ],
)
def test_int8_is_chosen_only_where_a_model_was_quantised(tmp_path, wanted, quantised, precision):
    (tmp_path / "cpuinfo").write_text(INTEL + "amx_bf16\n")
    if quantised:
        (tmp_path / INT8_MODEL).touch()
    assert choose_precision(task(tmp_path, wanted), tmp_path / "cpuinfo") == precision


def test_int8_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LoadError, match="quantise the model"):
        choose_precision(task(tmp_path, "int8"))


def test_an_unknown_cpu_computes_in_f32(tmp_path):
    assert float_precision(tmp_path / "nothing") == "f32"
