"""One archive takes the stack to a machine that has no network at all."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.docker import docker, run
from tests.compose.offline_engine import offline_engine
from tests.compose.stack import Stack
from tests.photos import Photo
from tests.places import HOME
from tests.waiting import wait_until

LIMIT = 120.0  # seconds


@pytest.fixture
def bundle(resting: Stack, tmp_path: Path) -> Iterator[Path]:
    """The archive of the stopped stack, with the model of its volume."""
    archive = tmp_path / "edgelens.tar"
    run("scripts/bundle", archive, cwd=resting.directory, env=resting.env)
    yield archive
    archive.unlink()  # a gigabyte


def test_a_bundle_serves_on_a_machine_without_a_network(bundle: Path, hammer: Photo):
    with (
        tempfile.TemporaryDirectory(prefix="edgelens-", ignore_cleanup_errors=True) as place,
        offline_engine(Path(place)) as offline,
    ):
        box = bundle.parent
        offline.run("tar", "-xf", bundle, "-C", box, "edgelens")
        home = box / "edgelens"
        (home / ".env").write_text("THREADS=8\nexport TAG=another")
        offline.run("make", "unbundle", f"BUNDLE={bundle}", cwd=home)
        settings = (home / ".env").read_text().splitlines()
        assert {"THREADS=8", "TAG=test"} <= set(settings)
        assert "export TAG=another" not in settings
        offline.run("docker", "compose", "up", "--detach", cwd=home)
        url = "http://127.0.0.1:5000/v1/classify"
        ask = ("curl", "-s", "--data-binary", f"@{hammer.path}", "-H", "Content-Type: image/jpeg")

        def best() -> str:
            answer = json.loads(offline.run(*ask, url, "-w", "\n") or "{}")
            results = answer.get("results", [{}])
            return str(results[0].get("predictions", [{}])[0].get("wnid"))

        wait_until(lambda: best() == hammer.wnid, "the photo is named", LIMIT)
        offline.run("docker", "compose", "down", "--volumes", "--timeout", "5", cwd=home)


def test_what_is_no_bundle_is_refused_in_one_sentence(engine: None, tmp_path: Path):
    archive = tmp_path / "x.tar"
    archive.write_bytes(b"no archive")
    with pytest.raises(AssertionError, match=r"x\.tar is not an archive that scripts/bundle wrote"):
        run(HOME / "scripts/unbundle", archive)
    assert docker("version")


DOCKER = """#!/bin/sh
case "$*" in
    *--format*) echo '  "name": "x",' ;;
    *--images*) echo edgelens-inference:1 ;;
    save*) echo the images; echo begun >&2; exec sleep 60 ;;
esac
"""


def test_a_terminal_that_is_closed_leaves_nothing_of_the_archive(tmp_path: Path) -> None:
    engine = tmp_path / "bin/docker"
    engine.parent.mkdir()
    engine.write_text(DOCKER)
    engine.chmod(0o755)
    path = f"{engine.parent}:{os.environ['PATH']}"
    saving = subprocess.Popen(
        ["scripts/bundle", tmp_path / "out/edgelens.tar"],
        cwd=HOME,
        env={**os.environ, "PATH": path},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with saving:
        assert saving.stderr
        assert saving.stderr.readline() == b"begun\n"
        os.killpg(saving.pid, signal.SIGHUP)
        saving.stderr.read()
    assert saving.returncode == 130
    assert list((tmp_path / "out").iterdir()) == []


BALANCER = "registry.example/edgelens-haproxy:2.6"
NAMING = f"""#!/bin/sh
case "$*" in
    *--format*) echo '  "name": "x",' ;;
    *--images*) printf '%s\\n' edgelens-inference:1 edgelens-gateway:1 {BALANCER} ;;
esac
"""


def test_the_archive_names_a_balancer_from_a_registry_of_ones_own(tmp_path: Path) -> None:
    engine, archive = tmp_path / "bin/docker", tmp_path / "edgelens.tar"
    engine.parent.mkdir()
    engine.write_text(NAMING)
    engine.chmod(0o755)
    path = f"{engine.parent}:{os.environ['PATH']}"
    run("scripts/bundle", archive, cwd=HOME, env={"PATH": path})
    settings = run("tar", "-xOf", archive, "edgelens/bundle.env").splitlines()
    assert f"BALANCER_IMAGE={BALANCER}" in settings
