"""Write and amend `parameters` in a config.pbtxt as text, so that a user's comments survive."""

import re
from collections.abc import Iterable, Mapping

_LINE = 'parameters {{ key: "{key}" value {{ string_value: {value} }} }}\n'
_READ = re.compile(
    r'^[ \t]*parameters:?\s*\{\s*key:\s*"(?P<key>[^"]*)"\s*'
    r'value:?\s*\{\s*string_value:\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*\}\s*\}'
    r"[ \t]*(?:#.*)?(?:\n|\Z)",
    re.MULTILINE,
)


def quoted(text: str) -> str:
    """Return a string literal of protobuf's text format."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def parameter(key: str, value: str) -> str:
    """Return one parameter on a line of its own."""
    return _LINE.format(key=key, value=quoted(value))


def with_parameters(text: str, parameters: Mapping[str, str]) -> str:
    """Return a config.pbtxt with these parameters, in place of the lines this module wrote.

    If somebody has written the same key in another form, ours comes last and wins: protobuf takes
    the last of the repeated keys in a map.
    """
    kept = _READ.sub(lambda line: "" if line["key"] in parameters else line[0], text)
    if not kept.endswith("\n"):
        kept += "\n"
    return kept + "".join(parameter(key, value) for key, value in parameters.items())


def written_parameters(text: str) -> dict[str, str]:
    """Return the parameters in a config.pbtxt, as this module or a person writes them."""
    return {line["key"]: _unquoted(line["value"]) for line in _READ.finditer(text)}


def unread_parameters(text: str, keys: Iterable[str]) -> list[str]:
    """Name the keys that a config.pbtxt holds in a form that is not understood here."""
    read = written_parameters(text)
    named = {match[1] for match in re.finditer(r"""key:\s*["']([^"']*)["']""", text)}
    return [key for key in keys if key in named and key not in read]


def _unquoted(escaped: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], escaped)
