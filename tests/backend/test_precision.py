"""Which precision `auto` becomes on which CPU."""

import pytest

from inference.backends.tensorflow.precision import other_precision

INTEL = "vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 "
AMD = "vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 "


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
    assert other_precision(file) == precision


def test_an_unknown_cpu_computes_in_f32(tmp_path):
    assert other_precision(tmp_path / "nothing") == "f32"
