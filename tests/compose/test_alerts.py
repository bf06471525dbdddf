"""What raises the alerts, and what does not, as Prometheus itself computes it."""

import shutil
from pathlib import Path

import yaml

from tests.compose.docker import docker, run
from tests.places import HOME

SCENARIOS = Path(__file__).with_name("alerts.yml")


def test_each_scenario_raises_and_ends_its_alerts():
    assert "SUCCESS" in promtool("test", "rules", str(SCENARIOS))


def promtool(*arguments: str) -> str:
    """Run Prometheus' own checker, from its image where it is not installed."""
    if shutil.which("promtool"):
        return run("promtool", *arguments)
    services = yaml.safe_load((HOME / "docker-compose.yml").read_text())["services"]
    image = services["prometheus"]["image"].partition(":-")[2].rstrip("}")
    sources = f"--volume={HOME}:{HOME}:ro"
    return docker(
        "run", "--rm", "--network=none", sources, "--entrypoint=promtool", image, *arguments
    )
