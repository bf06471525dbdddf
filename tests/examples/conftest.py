"""The real stack with one model for the examples to talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import repository, running_gateway  # noqa: F401
from tests.lite import copy_repository
from tests.servers import Running, start_inference
from tests.stand_in import Quiet, standing_in


@pytest.fixture(scope="session")
def triton(
    repository: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    with start_inference(copy_repository(repository, tmp_path_factory.mktemp("models"))) as running:
        yield running


@pytest.fixture(scope="session")
def gateway_url(triton: Running) -> Iterator[str]:
    with running_gateway(triton) as running:
        yield running.url


ANSWERS = (
    (502, "<html>no gateway</html>"),
    (503, '{"error": {"message": "The model is starting."}}'),
    (200, '{"results": [{"predictions": [{"wnid": null, "label": "bolt", "probability": 1}]}]}'),
)


class StandIn(Quiet):
    """Gives the prepared answers one after the other, and then repeats the last."""

    left: list[tuple[int, str]]
    again = "0"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        self.send_response(status)
        self.send_header("Retry-After", self.again)
        self.send_header("Content-Length", str(len(body) or 100))  # an empty one is cut short
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def stand_in_url() -> Iterator[str]:
    """A gateway that is away, then starts, then knows labels that have no WordNet id."""
    StandIn.left = list(ANSWERS)
    with standing_in(StandIn) as server:
        yield f"http://127.0.0.1:{server.server_port}"
