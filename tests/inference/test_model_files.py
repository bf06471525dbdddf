"""One model's files in the repository, as a deployment changes them."""

from functools import partial

import pytest

from inference.deployment.errors import DeployError
from inference.deployment.model_files import ModelFiles
from tests.inference.deployed import CONFIG


def test_a_missing_version_or_model_is_named(files: ModelFiles) -> None:
    with pytest.raises(DeployError, match=r"no version 9 of cat in .*; it has 1, 2, 3: export"):
        files.version(9)
    for model in ("dog", f"../{files.repository.name}/cat"):
        with pytest.raises(DeployError, match="there is no model"):
            ModelFiles(files.repository, model).version(1)


def test_a_candidate_has_one_version_the_labels_and_no_cache(files: ModelFiles) -> None:
    (files.directory / "configs").mkdir()
    files.write_candidate(1)  # and that deployment was killed
    files.write_candidate(2)
    candidate = files.repository / ".cat_candidate"
    assert sorted(path.name for path in candidate.iterdir()) == ["2", "config.pbtxt", "labels.txt"]
    assert (candidate / "2/weights").read_bytes() == bytes(1000)
    assert not (candidate / "2").readlink().is_absolute()
    text = (candidate / "config.pbtxt").read_text()
    assert '\nname: ".cat_candidate"  # a name\n' in text
    assert "response_cache { enable: false }" in text
    assert "version_policy { specific { versions: [ 2 ] } }" in text


def test_the_configurations_of_all_hosts_serve_the_same_versions(files: ModelFiles) -> None:
    custom = files.directory / "configs/small.pbtxt"
    custom.parent.mkdir()
    custom.write_text(f"# tuned\n{CONFIG}")
    before = files.texts()
    ModelFiles(files.repository, "cat", "small").pin([3, 2])
    pinned = f"{CONFIG}version_policy {{ specific {{ versions: [ 2, 3 ] }} }}\n"
    assert custom.read_text() == f"# tuned\n{pinned}"
    assert files.config.read_text() == pinned
    files.write(before)
    assert files.texts() == before == {files.config: CONFIG, custom: f"# tuned\n{CONFIG}"}


def test_a_named_configuration_is_the_one_that_is_read(files: ModelFiles) -> None:
    custom = files.directory / "configs/small.pbtxt"
    custom.parent.mkdir()
    custom.write_text(CONFIG)
    assert ModelFiles(files.repository, "cat", "small").config == custom
    assert ModelFiles(files.repository, "cat", "large").config == files.config
    files.config.unlink()
    ModelFiles(files.repository, "cat", "small").pin([1])
    assert not files.config.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"name: {", "(in the middle of a field|cannot be read)"), (b"# f\xfcr\n", "is not UTF-8")],
    ids=["broken", "not UTF-8"],
)
def test_a_configuration_that_cannot_be_read_or_changed_is_named(
    files: ModelFiles, content: bytes, reason: str
) -> None:
    files.config.write_bytes(content)
    for begin in (files.parameters, partial(files.pin, [2])):
        with pytest.raises(DeployError, match=rf"/cat/config\.pbtxt .*{reason}.*: fix it first"):
            begin()
    assert files.config.read_bytes() == content
