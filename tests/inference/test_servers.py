"""The server that other tests start, where it does not start."""

from pathlib import Path

import pytest

from tests.inference import standins
from tests.servers import start_inference


def test_a_start_that_fails_shows_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    standins.add_model(tmp_path, "broken", code="raise ImportError('no such part')")
    with pytest.raises(AssertionError, match="has ended"), start_inference(tmp_path):
        pass
    launcher = capsys.readouterr().out.partition("output.txt:")[2]
    assert "model broken" in launcher
    assert "no such part" in launcher
