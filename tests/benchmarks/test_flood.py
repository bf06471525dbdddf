"""The flood, against a server of a few lines."""

import asyncio
from collections.abc import Callable

from benchmarks.flood import Flood

BODIES = [b"one", b"two"]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FULL = b"HTTP/1.1 503 Refused\r\ncontent-length: 0\r\nConnection: close\r\n\r\n"


def flooded(answer: Callable[[bytes], bytes], rate: float, seconds: float) -> tuple[Flood, int]:
    """Return the flood and its number of connections; an `answer` of b"" closes a connection."""
    connections: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        with_body = await reader.readuntil(b"\r\n\r\n")
        while with_body:
            assert b"POST /v1/classify HTTP/1.1\r\n" in with_body
            told = answer(await reader.readexactly(3))
            writer.write(told)
            if told != OK:
                break
            try:
                with_body = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
        writer.close()
        await writer.wait_closed()

    async def both() -> Flood:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        flood = Flood(f"http://127.0.0.1:{port}/v1/classify", rate)
        await flood.run(BODIES, "image/jpeg", seconds)
        server.close()
        await asyncio.gather(*connections)
        return flood

    return asyncio.run(both()), len(connections)


def test_every_request_is_sent_and_counted_by_its_status() -> None:
    flood, _ = flooded(lambda body: OK if body == b"one" else FULL, 200, 0.5)
    assert flood.statuses == {"200": 50, "503": 50}
    assert len(flood.latencies) == 50


def test_connections_are_used_again() -> None:
    flood, connections = flooded(lambda _: OK, 100, 0.5)
    assert flood.statuses == {"200": 50}
    assert connections < 50


def test_a_connection_that_is_cut_off_is_no_answer() -> None:
    flood, _ = flooded(lambda body: OK if body == b"one" else b"", 100, 0.2)
    assert flood.statuses == {"200": 10, "ConnectionResetError": 10}
