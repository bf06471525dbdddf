"""Joins the pictures of several requests and deals the results out again."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from gateway.image import Pixels
from inference.backends.opencv.decoder import Decoded

Request = Sequence[bytes] | str  # encoded pictures, or the reason why there are none


def pictures(requests: Sequence[Request]) -> list[bytes]:
    """List the pictures of all readable requests, in order."""
    return [p for request in requests if not isinstance(request, str) for p in request]


def answers(requests: Sequence[Request], decoded: Sequence[Decoded]) -> Iterator[Pixels | str]:
    """Yield each request's UINT8 [N,H,W,3], or its error; `decoded` is one per picture."""
    each = iter(decoded)
    for request in requests:
        yield request if isinstance(request, str) else _answer(list(islice(each, len(request))))


def _answer(decoded: Sequence[Decoded]) -> Pixels | str:
    """Stack one request's tensors; a broken picture among several is named by its number."""
    for number, found in enumerate(decoded, start=1):
        if isinstance(found, str):
            return found if len(decoded) == 1 else f"Picture {number} of {len(decoded)}: {found}"
    return np.stack([found for found in decoded if not isinstance(found, str)])
