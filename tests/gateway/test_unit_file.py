"""deploy/edgelens.service, the systemd unit of `make serve`."""

from configparser import ConfigParser

from gateway.config import Settings
from serve import ENDING, TRITON_GRACE
from tests.places import HOME


def test_systemd_waits_until_serve_has_ended_its_parts_by_itself() -> None:
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string((HOME / "deploy/edgelens.service").read_text())
    longest = Settings().grace_seconds + ENDING + TRITON_GRACE
    assert unit.getfloat("Service", "TimeoutStopSec") > longest
    assert unit["Service"]["KillMode"] == "mixed"
