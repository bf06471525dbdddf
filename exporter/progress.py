"""Progress on the terminal; silent where standard error is a file or a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


class Steps:
    """A bar that names the step being done."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._started = False

    def begin(self, step: str) -> None:
        """Show `step`; the one before it is done."""
        if self._started:
            self._bar.update()
        self._started = True
        self._bar.set_postfix_str(step)


@contextmanager
def steps(title: str, total: int) -> Iterator[Steps]:
    """Show a bar of `total` steps while the block runs, then remove it."""
    with tqdm(
        total=total,
        desc=title,
        disable=None,
        leave=False,
        bar_format="{desc}: {bar:24} {n_fmt}/{total_fmt} [{elapsed}]{postfix}",
    ) as bar:
        yield Steps(bar)
