"""Progress on the terminal; silent where standard error is a file or a pipe."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def steps(title: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show a bar of `total` steps while the block runs; lend what shows the step that begins."""
    done = itertools.count()
    with tqdm(
        total=total,
        desc=title,
        disable=None,
        leave=False,
        bar_format="{desc}: {bar:24} {n_fmt}/{total_fmt} [{elapsed}]{postfix}",
    ) as bar:

        def begin(step: str) -> None:
            bar.n = next(done)
            bar.set_postfix_str(step)

        yield begin
