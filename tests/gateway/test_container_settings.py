"""The settings of the containers: all listed, and their times fit together."""

import re
from pathlib import Path

import pytest

from gateway.admission import FORESEEN
from tests.places import HOME

EXAMPLE = HOME / ".env.example"
COMPOSE = HOME / "docker-compose.yml"
DEPLOYMENTS = (COMPOSE, HOME / "deploy/swarm.yml", HOME / "deploy/kubernetes")
FORMER = {"API_KEYS_FILE"}  # an earlier name: a stack that sets only this one does not start
TIMES = ("DEADLINE_SECONDS", "TRITON_TIMEOUT", "GATEWAY_TIMEOUT")


def test_the_example_lists_exactly_the_settings_of_compose() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", text_of(COMPOSE)))
    listed = re.findall(r"^#?([A-Z_]+)=", text_of(EXAMPLE), re.MULTILINE)
    assert sorted(listed) == sorted(used - FORMER)


def test_the_example_shows_the_defaults() -> None:
    shown = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text_of(EXAMPLE), re.MULTILINE))
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-([^}]+)\}", text_of(COMPOSE)))
    assert defaults.pop("API_KEYS_DIR").startswith("/dev/null")  # mounted where none is set
    assert {name: shown[name] for name in defaults} == defaults


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda path: path.stem)
def test_what_is_admitted_is_answered_before_a_replica_is_given_up(deployment: Path) -> None:
    deadline, triton, gateway = (seconds(text_of(deployment), name) for name in TIMES)
    assert FORESEEN * deadline <= triton < deadline < gateway


def seconds(text: str, name: str) -> float:
    found = re.search(rf'{name}(?::-|, value: )"?([\d.]+)s?', text)
    assert found, name
    return float(found[1])


def text_of(place: Path) -> str:
    files = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    return "\n".join(file.read_text() for file in files)
