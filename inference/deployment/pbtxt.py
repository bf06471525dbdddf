"""Changes single top-level fields of a config.pbtxt as text, so that comments survive."""

import re
from collections.abc import Iterator

from inference.deployment.errors import DeployError

_TOKEN = re.compile(
    r"""
    \s+ | \#[^\n]*
    | "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*'
    | [{}<>\[\]:;,] | [^\s{}<>\[\]:;,"'\#]+
    """,
    re.VERBOSE,
)
_OPENING, _CLOSING = frozenset("{<["), frozenset("}>]")


def with_field(text: str, name: str, value: str) -> str:
    """Return the text with one top-level field set to `value`, e.g. `: "vgg16"` or ` { ... }`."""
    spans = list(_spans(text, name))
    written = name + value
    if not spans:
        return f"{text.rstrip()}\n{written}\n" if text.strip() else f"{written}\n"
    for start, end in reversed(spans[1:]):
        text = text[:start] + text[end:]
    start, end = spans[0]
    return text[:start] + written + text[end:]


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
        # Adjacent string literals are one value.
        more = position < len(tokens) and word[0] in "\"'" and tokens[position][0][0] in "\"'"
        if depth == 0 and not more:
            return position
    raise DeployError("config.pbtxt ends in the middle of a field: fix it first")


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each token that is neither space nor comment, and where it begins and ends."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            line = text.count("\n", 0, position) + 1
            raise DeployError(f"config.pbtxt cannot be read at line {line}: fix it first")
        if not match[0].isspace() and not match[0].startswith("#"):
            yield match[0], match.start(), match.end()
        position = match.end()
