"""The question of `make serve` whether its gateway is ready."""

import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving.inquiry import Inquiry


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
