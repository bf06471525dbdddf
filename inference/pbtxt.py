"""A config.pbtxt: read as Triton reads it, changed as text so that a person's comments survive."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_TOKEN = re.compile(
    r"""
    \s+ | \#[^\n]*
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
    | [{}<>\[\]:;,] | [^\s{}<>\[\]:;,"'\#]+
    """,
    re.VERBOSE,
)
_OPENING, _CLOSING = frozenset("{<["), frozenset("}>]")


class PbtxtError(ValueError):
    """A configuration is broken; the message goes on from the file's name: where, and why."""


def read(path: Path) -> str:
    """Return what a file says. Raises PbtxtError; OSError if it cannot be opened."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PbtxtError("is not UTF-8: fix it first") from None


def parse(text: str) -> Any:
    """Return a configuration as a `ModelConfig` of Triton's. Raises PbtxtError."""
    # Imported late: it takes half a second, and most starts read no configuration.
    from google.protobuf import text_format  # noqa: PLC0415
    from tritonclient.grpc.model_config_pb2 import ModelConfig  # noqa: PLC0415

    try:
        return text_format.Parse(text, ModelConfig())
    except text_format.ParseError as exc:
        raise PbtxtError(f"cannot be read ({exc}): fix it first") from None


def parameters(text: str) -> dict[str, str]:
    """Return a configuration's `parameters`. Raises PbtxtError."""
    return {key: value.string_value for key, value in parse(text).parameters.items()}


def quoted(text: str) -> str:
    """Return a string literal of protobuf's text format."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def parameter(key: str, value: str) -> str:
    """Return one of the `parameters` on a line of its own."""
    return f'parameters {{ key: "{key}" value {{ string_value: {quoted(value)} }} }}\n'


def with_parameters(text: str, added: Mapping[str, str]) -> str:
    """Return a configuration with these parameters, instead of those of the same names.

    Where one field lists some of them together with others it stays, but ours come last and win:
    protobuf takes the last of the repeated keys in a map. Raises PbtxtError.
    """
    for start, end in reversed(list(_spans(text, "parameters"))):
        if parameters(text[start:end]).keys() <= added.keys():
            text = _without(text, start, end)
    if not text.endswith("\n"):
        text += "\n"
    return text + "".join(parameter(key, value) for key, value in added.items())


def with_versions(text: str, versions: Sequence[int]) -> str:
    """Return a configuration that serves these versions and no others. Raises PbtxtError."""
    listed = ", ".join(str(version) for version in sorted(versions))
    return with_field(text, "version_policy", f" {{ specific {{ versions: [ {listed} ] }} }}")


def with_field(text: str, name: str, value: str) -> str:
    """Return the text with one top-level field set to `value`, e.g. `: "vgg16"` or ` { ... }`.

    Raises PbtxtError.
    """
    spans = list(_spans(text, name))
    written = name + value
    if not spans:
        return f"{text.rstrip()}\n{written}\n" if text.strip() else f"{written}\n"
    for start, end in reversed(spans[1:]):
        text = _without(text, start, end)
    start, end = spans[0]
    return text[:start] + written + text[end:]


def _without(text: str, start: int, end: int) -> str:
    """Cut a field out, and its line if at most a comment is left there."""
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", end) + 1 or len(text)
    rest = text[begin:start] + text[end:stop]
    is_empty = not rest.partition("#")[0].strip()
    return text[:begin] + ("" if is_empty else rest) + text[stop:]


def _spans(text: str, name: str) -> Iterator[tuple[int, int]]:
    """Yield where each top-level field of this name begins and ends."""
    tokens = list(_tokens(text))
    position = 0
    while position < len(tokens):
        word, start, _ = tokens[position]
        if word in (",", ";"):
            position += 1
            continue
        position = _end_of_field(tokens, position + 1)
        if word == name:
            yield start, tokens[position - 1][2]


def _end_of_field(tokens: list[tuple[str, int, int]], position: int) -> int:
    """Find the token after a field's value, given the token after its name."""
    if position < len(tokens) and tokens[position][0] == ":":
        position += 1
    depth = 0
    while position < len(tokens):
        word = tokens[position][0]
        depth += (word in _OPENING) - (word in _CLOSING)
        position += 1
        # No field begins with a string literal: it belongs to the one before it.
        more = position < len(tokens) and tokens[position][0][0] in "\"'"
        if depth == 0 and not more:
            return position
    raise PbtxtError("ends in the middle of a field: fix it first")


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each token that is neither space nor comment, and where it begins and ends."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise PbtxtError(f"cannot be read at line {line}: fix it first")
        if not match[0].isspace() and not match[0].startswith("#"):
            yield match[0], match.start(), match.end()
        position = match.end()
