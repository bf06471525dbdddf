"""The same picture gives the same tensor here as where Triton runs, whatever the processor."""

import os
import subprocess
import sys

import pytest

from tests.golden_tensors import golden, tensor_hash
from tests.places import HOME

# OpenCV acts as on a processor without these features, and IPP as on an older one.
PROCESSORS = {
    "no AVX-512": {"OPENCV_CPU_DISABLE": "AVX512_SKX", "OPENCV_IPP": "avx2"},
    "no AVX": {"OPENCV_CPU_DISABLE": "AVX512_SKX,AVX2,FMA3,AVX", "OPENCV_IPP": "sse42"},
    "no IPP": {"OPENCV_IPP": "disabled"},
}
HASH_ALL = """
from concurrent.futures import ThreadPoolExecutor
from tests.golden_tensors import golden, tensor_hash
with ThreadPoolExecutor(2) as pool:
    print(*pool.map(tensor_hash, golden()))
"""


@pytest.mark.parametrize("name", golden())
def test_the_tensor_is_the_one_both_environments_make(name: str) -> None:
    assert tensor_hash(name) == golden()[name]


@pytest.mark.parametrize("settings", PROCESSORS.values(), ids=PROCESSORS)
def test_another_processor_makes_the_same_tensors(settings: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", HASH_ALL],
        cwd=HOME,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert run.stdout.split() == list(golden().values())
