"""Ends servers with the tests, and shows what the launcher of a failed test has printed.

Tests that another environment runs fail for odd reasons: they are refused before they begin.
"""

import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.environment import complaint
from tests.logs import last_lines
from tests.servers import Running

# Here, because the conftest.py beside the named tests is imported before any hook is called.
# A bare `pytest` runs those of the gateway (pyproject.toml).
for named in [each for each in sys.argv[1:] if not each.startswith("-")] or ["tests/gateway"]:
    if wrong := complaint(Path(named.partition("::")[0]).resolve()):
        sys.exit(wrong)


def pytest_configure() -> None:
    """Let SIGTERM end the tests as Ctrl-C does: fixtures stop what they have started.

    Below a shell's `&` Ctrl-C is ignored, also by what the tests start and then interrupt.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show it also where one launcher serves the tests of a whole session."""
    report = yield
    for used in item.funcargs.values() if report.failed else ():
        if isinstance(used, Running) and used.output.exists():
            report.sections.append(("The launcher", "\n".join(last_lines(used.output))))
    return report
