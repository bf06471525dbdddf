"""The body of a request as it arrives."""

import pytest

from gateway.transport.body import Body


@pytest.mark.parametrize("size", [10, 10_000, 30_000], ids=["bytes", "memory", "file"])
def test_a_body_that_was_dropped_takes_no_room(size: int) -> None:
    body = Body(20_000)
    body.append(bytes(size))
    assert len(body) == size
    body.drop()
    body.append(bytes(size))
    assert len(body) == 0
