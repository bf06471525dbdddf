"""One running stack for all tests of it, from a fresh clone; nothing of it stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.docker import NO_ENGINE, DockerError, docker
from tests.compose.stack import Stack, fresh_clone
from tests.photos import Photo, photos

IMAGES = ("edgelens-inference:test", "edgelens-gateway:test", "edgelens-export:test")


@pytest.fixture(scope="session")
def engine() -> None:
    """Fail, with one sentence, where there is no engine."""
    try:
        docker("version", "--format", "{{.Server.Version}}")
        docker("compose", "version", "--short")
    except (DockerError, OSError):
        pytest.fail(NO_ENGINE, pytrace=False)


@pytest.fixture(scope="session")
def clone(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone, on a machine that has no images of ours yet (but the builder's cache)."""
    for image in IMAGES:
        if docker("images", "--quiet", image):
            docker("image", "rm", "--force", image)
    return fresh_clone(tmp_path_factory.mktemp("clone") / "edgelens")


@pytest.fixture(scope="session")
def stack(clone: Path) -> Iterator[Stack]:
    """The stack after `docker compose up -d` and nothing else; tests leave it as they find it."""
    stack = Stack(clone, bind="127.0.0.77")
    stack.remove()
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="session")
def images(stack: Stack) -> tuple[str, ...]:
    """The images that `docker compose up -d` has built."""
    return IMAGES


@pytest.fixture(scope="session")
def pictures() -> list[Photo]:
    return photos()


@pytest.fixture(scope="session")
def hammer(pictures: list[Photo]) -> Photo:
    return next(photo for photo in pictures if photo.label == "hammer")
