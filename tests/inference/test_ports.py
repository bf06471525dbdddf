"""Choosing ports."""

import socket

import pytest

from inference.errors import LaunchError
from inference.settings import Settings
from inference.tritonserver.ports import QUIET_PORTS, choose_ports

FREE = {f"TRITON_{name}_PORT": "0" for name in ("HTTP", "GRPC", "METRICS", "HEALTH")}


def test_free_ports_are_four_that_nobody_gets_by_chance() -> None:
    ports = choose_ports(Settings.from_env(FREE))
    chosen = {ports.http, ports.grpc, ports.metrics, ports.health}
    assert len(chosen) == 4
    assert all(port in QUIET_PORTS for port in chosen)


def test_given_port_is_taken_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    assert choose_ports(Settings.from_env({**FREE, "TRITON_GRPC_PORT": str(port)})).grpc == port


def test_port_whose_connections_are_still_closing_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # who closes first has to wait
    assert choose_ports(Settings.from_env({**FREE, "TRITON_GRPC_PORT": str(port)})).grpc == port


@pytest.mark.parametrize("name", FREE)
def test_taken_port_names_its_variable(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with pytest.raises(LaunchError, match=rf"127\.0\.0\.1:{port}.*{name}"):
            choose_ports(Settings.from_env({**FREE, name: port}))


@pytest.mark.parametrize("name", ["TRITON_METRICS_PORT", "TRITON_HEALTH_PORT"])
def test_same_port_twice_is_refused(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
    with pytest.raises(LaunchError, match=name):
        choose_ports(Settings.from_env({**FREE, "TRITON_HTTP_PORT": port, name: port}))


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(LaunchError, match=f"TRITON_HOST '{host}'"):
        choose_ports(Settings.from_env({**FREE, "TRITON_HTTP_PORT": "20000", "TRITON_HOST": host}))
