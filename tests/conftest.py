"""Ends servers with the tests, and shows what the launcher of a failed test has printed."""

import signal
from collections.abc import Generator

import pytest

from tests.logs import last_lines
from tests.servers import Running


def pytest_configure() -> None:
    """Let SIGTERM end the tests as Ctrl-C does: fixtures stop what they have started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


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
