import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import deferred
from exporter.architectures import ARCHITECTURES
from exporter.default import ensure_default
from exporter.errors import ExportError
from exporter.job import Job
from tests.places import HOME

PREFERENCES = {
    "backend": "theano",
    "floatx": "float16",
    "image_data_format": "channels_first",
    "epsilon": 1e-3,
}
CLOSED = "http://127.0.0.1:9"


def without_internet(home: Path) -> dict[str, str]:
    """Return an environment in which every download fails and nothing was downloaded before."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), CLOSED)
    return {**os.environ, **proxies, "no_proxy": "", "NO_PROXY": "", "KERAS_HOME": str(home)}


def run(*arguments: str, home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "export_model.py", *arguments],
        cwd=HOME,
        env={**without_internet(home), **settings},
        capture_output=True,
        text=True,
    )


def test_no_internet_is_one_sentence_with_the_ways_out(tmp_path: Path) -> None:
    repository = str(tmp_path / "repository")
    named = ("mobilenet_v3_small", "--name", "mine")
    done = run(*named, "--repository", repository, home=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    for way in ("--weights FILE", "efficientnet_lite0", "--weights random", "Connection refused"):
        assert way in done.stderr
    assert "export_model.py" not in done.stderr  # a command without the name makes another model
    assert not (tmp_path / "repository").exists()


def test_the_default_falls_back_to_real_weights_and_says_so(tmp_path: Path) -> None:
    done = run("--default", "--repository", str(tmp_path / "repository"), home=tmp_path, WEIGHTS="")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "efficientnet_lite0 is served with its own real ImageNet weights" in done.stderr
    assert "set WEIGHTS to it" in done.stderr  # as in containers, which have no `make serve`
    config = (tmp_path / "repository/efficientnet_lite0/config.pbtxt").read_text()
    assert 'key: "weights" value { string_value: "imagenet" }' in config
    assert not (tmp_path / "repository/vgg16").exists()


def test_what_the_user_prefers_in_keras_changes_no_model(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps(PREFERENCES))
    repository, model = tmp_path / "repository", "efficientnet_lite0"
    preferred = {"KERAS_BACKEND": "torch"}
    done = run(model, "--repository", str(repository), home=tmp_path, **preferred)
    assert done.stderr == ""
    for part in ("config.pbtxt", "1/model.savedmodel/variables/variables.data-00000-of-00001"):
        assert (repository / model / part).read_bytes() == (exported / model / part).read_bytes()


def test_the_exporters_own_settings_do_not_reach_what_is_served() -> None:
    program = "import os; before = dict(os.environ); import serve; print(os.environ == before)"
    plain = {"PATH": os.environ["PATH"], "KERAS_BACKEND": "jax"}
    ask = [sys.executable, "-c", program]
    done = subprocess.run(ask, cwd=HOME, env=plain, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ExportError, match=r"there is no file nowhere\.h5"):
        deferred.export(Job(ARCHITECTURES["vgg16"], "nowhere.h5", Path("anywhere")))
    with pytest.raises(ExportError, match="is a directory; a SavedModel needs no export"):
        deferred.export(Job(ARCHITECTURES["vgg16"], "exporter", Path("anywhere")))


def test_a_file_whose_name_is_no_text_has_a_name_that_is() -> None:
    job = Job(ARCHITECTURES["vgg16"], "models/f\udcfcr.h5", Path("anywhere"))
    assert job.weights_name == "file:f\ufffdr.h5"


def test_only_a_failed_download_leads_to_the_fallback(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"there is no file nowhere\.h5"):
        ensure_default(tmp_path / "repository", "nowhere.h5")
    assert not (tmp_path / "repository").exists()
