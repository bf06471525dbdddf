"""What people and programs are told about a Triton that is ready."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from inference.announcement import Announcement
from inference.errors import TritonAway
from inference.settings import Settings
from inference.supervision.state import Finding
from inference.tritonserver.ports import Ports
from tests.stand_in import Quiet, standing_in

METRICS = b"""\
nv_inference_pending_request_count{model="cat",version="1"} 0
edgelens_model_info{model="cat",version="1",engine="openvino",precision="int8",weights="x"} 1
edgelens_model_info{model="dog",version="2",engine="openvino",precision="f32",weights="random"} 1
edgelens_model_info{model="owl",version="3",engine="openvino"} 1
"""
FOUND = [Finding("cat", "1"), Finding("dog", "2"), Finding("owl", "3"), Finding("cat_image", "1")]


class Handler(Quiet):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(METRICS)


@pytest.fixture
def metrics_port() -> Iterator[int]:
    with standing_in(Handler) as server:
        yield server.server_port


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    places = {"EDGELENS_RUNTIME_DIR": "run", "TRITON_READY_FILE": "ready.json"}
    return Settings.from_env({name: str(tmp_path / place) for name, place in places.items()})


def announced(settings: Settings, ports: Ports, client: Any) -> tuple[Announcement, str]:
    """Announce what was found; return the line for the terminal, too."""
    said: list[str] = []
    announcement = Announcement(settings, ports, Path("triton.log"), said.append)
    announcement.publish_key()
    announcement.publish(client, FOUND)
    (line,) = said
    return announcement, line


def test_the_terminal_shows_how_each_model_runs_and_which_has_random_weights(
    settings: Settings, metrics_port: int
) -> None:
    triton: Any = SimpleNamespace(version=lambda: "2.51.0")
    _, line = announced(settings, Ports(1, 2, metrics_port, 4), triton)
    assert line == (
        "Triton 2.51.0 serves cat v1 (openvino, int8), dog v2 (openvino, f32, RANDOM WEIGHTS),"
        " owl v3, cat_image v1: HTTP 127.0.0.1:1, gRPC 127.0.0.1:2,"
        f" metrics 127.0.0.1:{metrics_port}, health 127.0.0.1:4"
    )


def test_a_triton_that_says_nothing_of_itself_is_announced_all_the_same(settings: Settings) -> None:
    def refuse() -> str:
        raise TritonAway

    triton: Any = SimpleNamespace(version=refuse)
    _, line = announced(settings, Ports(1, 2, 9, 4), triton)
    assert "serves cat v1, dog v2, owl v3, cat_image v1: HTTP" in line


def test_what_others_are_left_is_their_owners_alone_and_taken_back(settings: Settings) -> None:
    triton: Any = SimpleNamespace(version=lambda: "2.51.0")
    announcement, _ = announced(settings, Ports(1, 2, 9, 4), triton)
    assert settings.ready_file
    files = (announcement.key_path, settings.ready_file)
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    facts = json.loads(settings.ready_file.read_text())
    assert Path(facts["admin_key_file"]).read_text() == settings.admin_key
    assert [facts[f"{name}_port"] for name in ("http", "grpc", "metrics", "health")] == [1, 2, 9, 4]
    assert facts["models"][1] == {"name": "dog", "version": "2"}
    announcement.withdraw()
    assert not any(file.exists() for file in files)
