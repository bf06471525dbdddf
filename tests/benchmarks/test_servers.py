import sys
from pathlib import Path

import pytest

from benchmarks import servers
from benchmarks.servers import Contender, free_port, running
from inference.tritonserver.ports import QUIET_PORTS


def test_a_contender_is_asked_directly_where_the_internet_needs_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "LOGS", tmp_path)
    monkeypatch.setattr(servers, "START", 10)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
    with running(Contender("files", command, "/", health="/README.md")) as server:
        assert server.start_seconds < 10


def test_a_free_port_is_none_that_a_connection_may_get_before_it_is_used() -> None:
    assert free_port() in QUIET_PORTS
