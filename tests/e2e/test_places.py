"""Where `make serve` finds its parts."""

import socket

import pytest

from serving.places import Places
from serving.stop import Stop

PORTS = [f"TRITON_{name}_PORT" for name in ("HTTP", "GRPC", "METRICS", "HEALTH")]


@pytest.mark.parametrize(
    ("host", "spelled"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("127.0.0.2", "127.0.0.2")],
)
def test_what_listens_everywhere_is_reached_on_this_machine(
    host: str, spelled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRITON_URL", "TRITON_METRICS_URL"):
        monkeypatch.delenv(name, raising=False)
    places = Places.from_env({"HOST": host, "PORT": "5001", "TRITON_HOST": host})
    ports = {name: str(number) for number, name in enumerate(PORTS)}
    assert places.page == f"http://{spelled}:5001/"
    assert places.triton_health(ports) == f"http://{spelled}:3/healthz"
    assert places.triton_addresses(ports) == {
        "TRITON_URL": f"{spelled}:1",
        "TRITON_METRICS_URL": f"http://{spelled}:2/metrics",
    }


def test_a_port_that_an_earlier_run_still_holds_is_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    earlier = socket.create_server(("127.0.0.1", 0))
    looks = iter([lambda: None, earlier.close])

    class Waiting(Stop):
        def wait(self, _: float) -> bool:
            next(looks)()
            return super().wait(0)

    port = str(earlier.getsockname()[1])
    Places.from_env({"PORT": port, **dict.fromkeys(PORTS, "0")}).await_free_ports(Waiting())
    assert capsys.readouterr().out == f"Waiting for PORT={port} to become free.\n"
