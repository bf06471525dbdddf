"""The question of `make serve` whether its gateway is ready."""

import json
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving import inquiry
from serving.errors import ServeError
from serving.inquiry import PATIENCE, Inquiry
from tests.gateway.clock import Clock


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
def test_a_gateway_that_ends_in_the_middle_of_its_answer_is_asked_again(
    status: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 100\r\n\r\n{{".encode())

        ending = threading.Thread(target=answer)
        ending.start()
        page = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        places: Any = SimpleNamespace(page=page, elsewhere="")
        assert Inquiry(places, tmp_path / "ready.json").answer() == {}
        ending.join(10)


@pytest.mark.parametrize(
    ("wanted", "remedy"),
    [("mine", ""), ("vgg16", ", or add it first with `make model MODEL=vgg16`")],
)
def test_a_default_that_triton_does_not_serve_is_told_with_what_it_serves(
    wanted: str, remedy: str, tmp_path: Path
) -> None:
    ready = tmp_path / "ready.json"
    names = ("other", "cat", "cat_decode", "cat_image")
    ready.write_text(json.dumps({"models": [{"name": name} for name in names]}))
    places: Any = SimpleNamespace(page="http://127.0.0.1:9/", elsewhere="")
    places.gateway = SimpleNamespace(model=wanted)
    with pytest.raises(ServeError) as refused:
        Inquiry(places, ready).answer()
    assert str(refused.value) == (
        f"MODEL={wanted} cannot be the default: Triton serves cat, other; choose from these{remedy}"
    )
    places.elsewhere = "10.0.0.1:8001"  # whose models are not those of the one that is started
    assert Inquiry(places, ready).answer() == {}
    places.elsewhere = ""
    for places.gateway.model in ("", "cat"):
        assert Inquiry(places, ready).answer() == {}


@pytest.mark.parametrize(
    ("elsewhere", "asked"), [("", ""), ("10.0.0.1:8001", " (TRITON_URL=10.0.0.1:8001)")]
)
def test_what_a_long_start_waits_for_is_told_once_and_not_at_once(
    elsewhere: str,
    asked: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    clock, told = Clock(), ""
    monkeypatch.setattr(inquiry, "time", SimpleNamespace(monotonic=clock))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(3):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(b'HTTP/1.0 503 Refused\r\n\r\n{"reason": "No model."}')

        refusing = threading.Thread(target=answer, daemon=True)
        refusing.start()
        page = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        places: Any = SimpleNamespace(page=page, elsewhere=elsewhere)
        asking = Inquiry(places, tmp_path / "ready.json")
        for seconds, times in ((0, 0), (PATIENCE + 1, 1), (60, 1)):
            clock.now += seconds
            assert asking.answer() == {}
            told += capfd.readouterr().err
            assert told.count(f"edgelens: not ready yet{asked}: No model.\n") == times
        refusing.join(10)
