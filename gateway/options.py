"""What a client may choose about its classification, read from the query."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MultiDict

from gateway.errors import BadRequest
from gateway.model_names import NAME
from gateway.shares import Shares, SharesError

NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True)
class ClassifyOptions:
    """The query of /v1/classify; an empty text means the default."""

    model: str = ""
    version: str = ""
    top_k: int = 5
    min_score: float = 0.0
    ab: Shares | None = None

    @classmethod
    def from_args(cls, args: MultiDict[str, str]) -> "ClassifyOptions":
        """Read and check the query; raise BadRequest with the parameter's name."""
        for name in args:
            if name not in KNOWN:
                raise BadRequest(f"Unknown parameter; known ones: {', '.join(sorted(KNOWN))}.")
            if len(args.getlist(name)) > 1:
                raise BadRequest(f"{name} is given more than once.")
        return cls(**{name: read(args[name]) for name, read in _READERS.items() if name in args})


def _model(text: str) -> str:
    if not NAME.fullmatch(text):
        raise BadRequest("model must be a model's name; GET /v1/models lists them.")
    return text


def _version(text: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,18}", text, re.ASCII):
        raise BadRequest("version must be a positive whole number.")
    return text


def _top_k(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= 1000:
        raise BadRequest("top_k must be a whole number from 1 to 1000.")
    return int(text)


def _min_score(text: str) -> float:
    if not NUMBER.fullmatch(text) or not 0 <= float(text) <= 1:
        raise BadRequest("min_score must be a number from 0 to 1.")
    return float(text)


def _shares(text: str) -> Shares:
    try:
        return Shares.parse(text)
    except SharesError:
        raise BadRequest("ab must give versions and weights, such as 1:90,2:10.") from None


_READERS: Mapping[str, Callable[[str], Any]] = {
    "model": _model,
    "version": _version,
    "top_k": _top_k,
    "min_score": _min_score,
    "ab": _shares,
}
KNOWN = frozenset(_READERS)
