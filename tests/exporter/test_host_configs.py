"""What becomes of the configurations beside config.pbtxt when another version is exported."""

from pathlib import Path

import pytest

from exporter.host_configs import amend_host_configs
from inference.pbtxt import parameters
from inference.tuning import MARK

ADDED = {"weights": "imagenet", "weights_v2": "imagenet"}


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/box.pbtxt").write_text(f"{MARK}: as it was.\nmax_batch_size: 8\n")
    (tmp_path / "configs/box.svg").write_text("<svg/>")
    (tmp_path / "configs/undrawn.pbtxt").write_text(f"{MARK}: its curve was removed.\n")
    (tmp_path / "configs/mine.pbtxt").write_text("max_batch_size: 4\n")
    return tmp_path / "configs"


def test_a_new_version_is_described_in_each(configs: Path) -> None:
    amend_host_configs(configs.parent, ADDED, anew=False)
    for name in ("box", "mine"):
        text = (configs / f"{name}.pbtxt").read_text()
        assert parameters(text) == ADDED
    assert (
        (configs / "box.pbtxt").read_text().startswith(f"{MARK}: as it was.\nmax_batch_size: 8\n")
    )


def test_a_model_that_begins_anew_loses_what_was_tuned(configs: Path) -> None:
    amend_host_configs(configs.parent, ADDED, anew=True)
    assert [path.name for path in configs.iterdir()] == ["mine.pbtxt"]
    assert "weights_v2" in (configs / "mine.pbtxt").read_text()


def test_a_model_without_other_configurations_is_fine(tmp_path: Path) -> None:
    amend_host_configs(tmp_path, ADDED, anew=True)
