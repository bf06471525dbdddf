"""One running stack for all its tests, from a fresh clone; nothing of it remains."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.docker import NO_ENGINE, DockerError, docker
from tests.compose.stack import Stack, fresh_clone
from tests.photos import Photo, photos

HERE = Path(__file__).parent
IMAGES = ("edgelens-inference:test", "edgelens-gateway:test", "edgelens-export:test")
# Tests without an engine come first, then those of the running stack, last those of its images.
ORDER = (
    "alerts",
    "dashboard",
    "kubernetes",
    "stack",
    "balancer",
    "replicas",
    "fuzz",
    "tls",
    "proxy",
    "faults",
    "down",
    "bundle",
    "engine",
    "swarm",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these files in the order that starts the stack once, after those of other directories."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    ours = item.path.parent == HERE
    return ORDER.index(item.path.stem.removeprefix("test_")) if ours else -1


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
    """A fresh clone, on a machine that has none of our images yet (except the builder's cache)."""
    for image in IMAGES:
        if docker("images", "--quiet", image):
            docker("image", "rm", "--force", image)
    return fresh_clone(tmp_path_factory.mktemp("clone") / "edgelens")


@pytest.fixture(scope="session")
def stack(clone: Path) -> Iterator[Stack]:
    """The stack after `docker compose up -d` and nothing else, without Triton's response cache."""
    stack = Stack(clone, bind="127.0.0.77", extra={"TRITON_CACHE_BYTES": "0"})
    stack.remove()
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="session")
def scaled(stack: Stack, hammer: Photo) -> Stack:
    """The stack with three Triton replicas and two gateways in service."""
    stack.wait_for_label(hammer.data)
    stack.up(triton=3, gateway=2)
    stack.wait_for_replicas(3)
    stack.wait_for_replicas(2, "gateway")
    return stack


@pytest.fixture(scope="session")
def resting(stack: Stack, hammer: Photo) -> Stack:
    """The stack after `docker compose down`: only its images and its model remain."""
    stack.wait_for_label(hammer.data)
    stack.compose("down", "--timeout", "5")
    return stack


@pytest.fixture(scope="session")
def images(resting: Stack) -> tuple[str, ...]:
    """The images that `docker compose up -d` has built."""
    return IMAGES


@pytest.fixture(scope="session")
def pictures() -> list[Photo]:
    return photos()


@pytest.fixture(scope="session")
def hammer(pictures: list[Photo]) -> Photo:
    return next(photo for photo in pictures if photo.label == "hammer")
