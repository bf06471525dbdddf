"""What alerts and dashboard watch: a metric that nobody writes any more raises no alert, ever."""

import re

import pytest

from tests.places import HOME

WATCHED = ("deploy/alerts.yml", "deploy/grafana/edgelens.json")


@pytest.mark.parametrize("place", WATCHED)
def test_every_metric_of_ours_that_is_watched_exists(place: str) -> None:
    sources = (*HOME.glob("gateway/*.py"), *HOME.glob("inference/supervision/*.py"))
    written = set(re.findall(r'"(edgelens_\w+)"', "".join(path.read_text() for path in sources)))
    watched = re.findall(r"\bedgelens_\w+", (HOME / place).read_text())
    assert watched
    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in watched} <= written
