"""deploy/edgelens.service, the systemd unit of `make serve`."""

from configparser import ConfigParser

from gateway.config import Settings
from serve import ENDING, TRITON_GRACE
from tests.places import HOME

UNIT = ConfigParser(interpolation=None)
UNIT.optionxform = str
UNIT.read_string((HOME / "deploy/edgelens.service").read_text())


def test_systemd_waits_until_serve_has_ended_its_parts_by_itself() -> None:
    longest = Settings().grace_seconds + ENDING + TRITON_GRACE
    assert UNIT.getfloat("Service", "TimeoutStopSec") > longest
    assert UNIT["Service"]["KillMode"] == "mixed"


def test_systemd_leaves_it_to_serve_to_replace_a_part_that_the_kernel_has_killed() -> None:
    assert UNIT["Service"]["OOMPolicy"] == "continue"
