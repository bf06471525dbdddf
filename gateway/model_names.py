"""How models are named: a classifier, the models beside it, and a version under test."""

import re

# Triton 24.10 waits for ever for a Python process whose path has a space or is not ASCII.
NAME = re.compile(r"[\w.-]{1,128}", re.ASCII)


def decode_name(model: str) -> str:
    """Name the model that decodes pictures for a classifier."""
    return f"{model}_decode"


def ensemble_name(model: str) -> str:
    """Name the ensemble through which a classifier takes encoded pictures."""
    return f"{model}_image"


def companions(model: str) -> tuple[str, str]:
    """Name the models beside a classifier, for clients that send pictures to Triton itself."""
    return decode_name(model), ensemble_name(model)


def is_companion(model: str) -> bool:
    """Tell whether a model is beside a classifier."""
    return model.endswith(companions(""))


def is_apart(model: str) -> bool:
    """Tell whether a model is not to be served: a version under test, or an unfinished export."""
    return model.startswith(".")


def is_classifier(model: str) -> bool:
    """Tell whether a model is one that people choose."""
    return not is_apart(model) and not is_companion(model)


def classifier_name(text: str) -> str:
    """Read a name for a classifier. Raises ValueError with what to give."""
    is_name = all(map(NAME.fullmatch, (text, *companions(text))))
    if not (is_name and is_classifier(text)) or text.startswith("-"):  # as an option begins
        raise ValueError(
            "give at most 121 letters, digits, _, . and -, with neither . nor - at the start, and"
            " neither _decode nor _image at the end"
        )
    return text
