"""`make audit`: no news from the advisory service is never taken for good news."""

import subprocess
from pathlib import Path

import pytest

from tests.places import HOME

AUDIT = HOME / "scripts/audit"
FOUND = """echo '{"dependencies": [{"name": "jinja2", "vulns": [{"id": "X"}]}]}'; exit 1"""
# The version known to be vulnerable comes in a temporary file; our lock files come by name.
KNOWS = f"""case "$*" in *requirements/*) exit %d;; *) {FOUND};; esac"""


def audit(home: Path, fake: str) -> subprocess.CompletedProcess[str]:
    """Run the script with this in place of pip-audit, where there is one lock file."""
    (home / "requirements").mkdir()
    (home / "requirements/new.txt").touch()
    program = home / ".venv-audit/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{fake}\n")
    program.chmod(0o755)
    return subprocess.run([AUDIT], cwd=home, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "fake",
    ["echo 'no connection' >&2; exit 1", "echo 'No known vulnerabilities found'", "exit 127"],
    ids=["offline", "no advisories", "not installed"],
)
def test_an_audit_that_cannot_be_made_says_so_and_fails(tmp_path: Path, fake: str) -> None:
    ended = audit(tmp_path, fake)
    assert ended.returncode == 2
    assert "nothing was audited" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("status", [0, 1], ids=["clean", "vulnerable"])
def test_every_lock_file_is_audited(tmp_path: Path, status: int) -> None:
    ended = audit(tmp_path, KNOWS % status)
    assert ended.returncode == status
    assert "requirements/new.txt" in ended.stdout
