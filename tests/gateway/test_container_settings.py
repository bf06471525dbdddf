"""The settings of the containers: all listed, and their times fit together."""

import re
from pathlib import Path

import pytest

from exporter.architectures import ARCHITECTURES
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


def test_the_gateway_may_have_the_threads_of_all_models_that_can_be_exported() -> None:
    text = text_of(COMPOSE)
    limit = re.search(r"GATEWAY_MEMORY.*pids: (\d+)", text)
    threads = re.search(r"THREADS:-(\d+)", text)
    assert limit
    assert threads
    others = 40  # the page's, gRPC's, and those that decode and infer
    assert int(limit[1]) >= len(ARCHITECTURES) * int(threads[1]) + others


def test_replicas_stay_in_service_while_dns_is_silent() -> None:
    """An engine that is updated beneath its containers, or a cluster's DNS that has failed."""
    held = re.search(r"^ +hold timeout (\d+)d$", text_of(HOME / "deploy/haproxy.cfg"), re.MULTILINE)
    assert held and int(held[1]) >= 1


def seconds(text: str, name: str) -> float:
    found = re.search(rf'{name}(?::-|, value: )"?([\d.]+)s?', text)
    assert found, name
    return float(found[1])


def text_of(place: Path) -> str:
    files = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    return "\n".join(file.read_text() for file in files)
