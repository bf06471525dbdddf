"""What `docker compose up -d` gives: labels, closed doors, small images without privilege."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from tests.compose.docker import DockerError, docker, inspect, python_in
from tests.compose.promtool import image
from tests.compose.stack import Stack, is_healthy
from tests.memory import MEGABYTE
from tests.photos import Photo
from tests.places import HOME
from tests.waiting import wait_until

KEYS = "python -m gateway.keys --file /keys/api-keys"
# Asks for the models, with the key that is the argument, and prints the status.
ASK_WITH_KEY = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 5000, timeout=10)
connection.request("GET", "/v1/models", headers={"X-API-Key": sys.argv[1]})
print(connection.getresponse().status)
"""


def test_a_fresh_clone_names_a_photo_after_compose_up_alone(stack: Stack, hammer: Photo):
    answer = stack.wait_for_label(hammer.data).json()
    best = answer["results"][0]["predictions"][0]
    assert (best["wnid"], best["label"]) == (hammer.wnid, "hammer")
    assert answer["weights"] == "imagenet"
    page = requests.get(stack.url, timeout=10)
    assert page.status_code == 200
    assert "text/html" in page.headers["Content-Type"]


def test_only_the_published_ports_are_open(stack: Stack, hammer: Photo):
    """Whatever answers on the stack's own loopback address but not on another one is ours."""
    stack.wait_for_label(hammer.data)
    ours = set(open_ports(stack.bind)) - set(open_ports("127.0.0.78"))
    published = {stack.port, stack.http_port, stack.grpc_port}
    assert ours == published
    # A port published on every address answers on the other one too, so ask the engine as well.
    containers = map(json.loads, stack.compose("ps", "--format", "json").splitlines())
    doors = [door for container in containers for door in container["Publishers"] or ()]
    assert {(d["URL"], d["PublishedPort"]) for d in doors if d["PublishedPort"]} == {
        (stack.bind, port) for port in published
    }


def test_nothing_is_published_beyond_loopback_unless_asked(stack: Stack):
    config = json.loads(stack.compose("config", "--format", "json"))
    assert [name for name, s in config["services"].items() if "ports" in s] == ["balancer"]
    default = Stack(stack.directory)
    environment = dict.fromkeys(("BIND", "TRITON_BIND"), "")
    default.extra.update(environment)
    published = json.loads(default.compose("config", "--format", "json"))
    ports = published["services"]["balancer"]["ports"]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


@pytest.mark.parametrize("service", ["triton", "balancer", "gateway"])
def test_containers_hold_no_privilege(stack: Stack, service: str):
    container = stack.containers(service)[0]
    wait_until(lambda: is_healthy(container), "the engine calls it healthy", 60)
    state = inspect(container)
    host = state["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"] > 0
    assert host["RestartPolicy"]["Name"] == "always"
    assert "/tmp" in host["Tmpfs"]
    assert state["Config"]["User"] not in ("", "root", "0")
    assert state["Config"]["StopTimeout"] >= 5


def test_triton_has_the_shared_memory_that_its_backends_need(stack: Stack):
    assert inspect(stack.containers("triton")[0])["HostConfig"]["ShmSize"] == 256 * MEGABYTE


@pytest.mark.parametrize("service, most", [("triton", 800), ("gateway", 500)])
def test_images_are_small_and_check_their_own_health(stack: Stack, service: str, most: int):
    image = inspect(inspect(stack.containers(service)[0])["Image"])
    assert image["Size"] < most * 1e6
    assert image["Config"]["Healthcheck"]["Test"]


@pytest.mark.parametrize("service", ["triton", "gateway"])
def test_no_image_that_serves_holds_tensorflow(stack: Stack, service: str):
    find = "import importlib.util as u; print(u.find_spec('tensorflow'), u.find_spec('keras'))"
    container = stack.containers(service)[0]
    assert docker("exec", container, "python", "-c", find) == "None None"


def test_a_key_file_that_no_container_would_read_stops_the_start() -> None:
    stack = Stack(HOME, extra={"API_KEYS_FILE": "./api-keys", "API_KEYS_DIR": ""})
    config = json.loads(stack.compose("config", "--format", "json"))
    [mount] = config["services"]["gateway"]["volumes"]
    assert mount["source"] == "/dev/null (set API_KEYS_DIR instead of API_KEYS_FILE)"
    assert not mount["bind"].get("create_host_path")


def test_a_revoked_key_is_refused_at_once(stack: Stack, tmp_path: Path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(0o777)  # written by the container's user
    with_keys = replace(stack, extra={**stack.extra, "API_KEYS_DIR": str(tmp_path / "keys")})
    run_gateway = ("run", "--no-deps", "--no-TTY")
    change = (*run_gateway, "--rm", "--volume", f"{tmp_path}/keys:/keys", "gateway", *KEYS.split())
    alice = with_keys.compose(*change, "add", "alice").splitlines()[-1]
    bob = with_keys.compose(*change, "add", "bob").splitlines()[-1]
    name = f"{stack.project}-keys"
    with_keys.compose(*run_gateway, "--detach", "--name", name, "gateway")
    try:
        wait_until(lambda: status_with_key(name, alice) == "200", "the key is accepted", 60)
        with_keys.compose(*change, "revoke", "alice")
        assert [status_with_key(name, key) for key in (alice, bob, "")] == ["401", "200", "401"]
    finally:
        docker("rm", "--force", name)


def test_prometheus_understands_its_configuration_and_rules(stack: Stack):
    config = json.loads(stack.compose("--profile", "metrics", "config", "--format", "json"))
    prometheus = config["services"]["prometheus"]
    files = [f"--volume={v['source']}:{v['target']}:ro" for v in prometheus["volumes"]]
    run = ["run", "--rm", "--network=none", "--entrypoint=promtool", *files]
    said = docker(*run, image(), "check", "config", "/etc/prometheus/prometheus.yml")
    rules = (HOME / "deploy/alerts.yml").read_text().count("- alert:")
    assert f"{rules} rules found" in said


def open_ports(address: str) -> Iterator[int]:
    """Connect to every TCP port."""
    for port in range(1, 65536):
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((address, port)) == 0:
                yield port


def status_with_key(container: str, key: str) -> str:
    try:
        return python_in(container, ASK_WITH_KEY, key)
    except DockerError:  # it is starting
        return ""
