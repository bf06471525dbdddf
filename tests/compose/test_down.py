"""`docker compose down` leaves the model, and the next `up` serves it again without an export."""

from tests.compose.docker import docker
from tests.compose.stack import Stack
from tests.photos import Photo

# Prints the versions of all models, and when they were written.
VERSIONS = (
    "import pathlib as p\nfor v in sorted(p.Path('/models').glob('*/[1-9]*')): print(v, v.stat())"
)


def test_down_leaves_only_the_model_and_up_serves_again(stack: Stack, hammer: Photo):
    stack.wait_for_label(hammer.data)
    exported = models_of(stack)
    stack.compose("down", "--timeout", "10")
    mine = f"label=com.docker.compose.project={stack.project}"
    assert docker("ps", "--all", "--quiet", "--filter", mine) == ""
    assert docker("network", "ls", "--quiet", "--filter", mine) == ""
    volumes = docker("volume", "ls", "--quiet", "--filter", mine).split()
    assert volumes == [f"{stack.project}_models"]
    stack.up()
    best = stack.wait_for_label(hammer.data).json()["results"][0]["predictions"][0]
    assert best["wnid"] == hammer.wnid
    assert models_of(stack) == exported


def models_of(stack: Stack) -> str:
    """List the versions in the model volume, as a replica sees them."""
    listed = docker("exec", stack.containers("triton")[0], "python", "-c", VERSIONS)
    assert listed.count("/models/efficientnet_lite0/") == 1
    return listed
