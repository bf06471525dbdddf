"""The parts that `make serve` starts again."""

from pathlib import Path

import pytest

from serving import part
from serving.part import Part
from tests.waiting import wait_until


def test_a_part_that_cannot_be_started_now_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(part, "LONGEST_PAUSE", 0.1)
    command, done = tmp_path / "command", tmp_path / "done"
    mended = Part("the part", [str(command)], {}, "")
    mended.revive()
    assert "the part cannot be restarted now (No such file or directory)" in capsys.readouterr().out
    command.write_text(f"#!/bin/sh\ntouch {done}\n")
    command.chmod(0o755)

    def is_started() -> bool:
        mended.revive()
        return done.exists()

    wait_until(is_started, "it has run", 20)
    mended.finish(20)
