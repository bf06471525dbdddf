"""Prometheus' own checker: it computes what rules and queries make of given samples."""

import shutil

import yaml

from tests.compose.docker import docker, run
from tests.places import HOME


def promtool(*arguments: str) -> str:
    """Run it, from Prometheus' image where it is not installed."""
    if shutil.which("promtool"):
        return run("promtool", *arguments)
    files = [argument for argument in arguments if argument.startswith("/")]
    volumes = [f"--volume={path}:{path}:ro" for path in (HOME, *files)]
    # Not the image's own user: only we may read a test's temporary directory.
    command = ("run", "--rm", "--network=none", "--user=0", *volumes, "--entrypoint=promtool")
    return docker(*command, image(), *arguments)


def image() -> str:
    """Return the image that is here, whatever its version, else the one that Compose names."""
    here = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "prom/prometheus").split()
    services = yaml.safe_load((HOME / "docker-compose.yml").read_text())["services"]
    named: str = services["prometheus"]["image"].partition(":-")[2].rstrip("}")
    return here[0] if here else named
