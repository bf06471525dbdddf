#!/usr/bin/env python3
"""Coverage-guided fuzzing of picture decoding; see README.md beside this file."""

import resource
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(include=["gateway", "PIL"]):
    from gateway.contract import Contract
    from gateway.errors import NotAPicture, TooLarge, UndecodablePicture
    from gateway.image import Limits, to_tensor

CONTRACT = Contract(32, 24, 32, "center", "cubic", "RGB", "0-255")
LIMITS = Limits(max_bytes=1 << 20, max_pixels=1_000_000)
# The limits allow 4 MB per picture; the rest is for what Python and the decoders keep.
MAX_GROWTH_KB = 64 * 1024


def decode_or_refuse(data: bytes) -> None:
    """Accept a tensor or a refusal that a client may see; anything else stops the fuzzer."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        tensor = to_tensor(data, CONTRACT, LIMITS)
    except (NotAPicture, TooLarge, UndecodablePicture):
        return
    finally:
        growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        if growth > MAX_GROWTH_KB:
            raise AssertionError(f"one picture took {growth // 1024} MB")
    if tensor.shape != (24, 32, 3):
        raise AssertionError(f"a tensor of {tensor.shape}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, decode_or_refuse)
    atheris.Fuzz()
