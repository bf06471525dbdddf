import sys
from pathlib import Path

import pytest

from benchmarks import servers
from benchmarks.servers import Contender, running


def test_a_contender_is_asked_directly_where_the_internet_needs_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "LOGS", tmp_path)
    monkeypatch.setattr(servers, "START", 10)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
    with running(Contender("files", command, "/", health="/README.md")) as server:
        assert server.start_seconds < 10
