"""Deployments on a real Triton of models on its own Python backend, which may die."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.deploy import main
from inference.deployment.model_files import ModelFiles
from inference.grpc_control import GrpcControl
from inference.pbtxt import parameter
from tests.inference.calls import admin, counter, is_ready, readiness
from tests.inference.conftest import QUICK
from tests.inference.contracted import MIRRORED, MODEL, RIGHT, SWAPPED, add_classifier, golden
from tests.places import HOME
from tests.servers import Running, start_inference
from tests.waiting import wait_until

DYING = MODEL.replace("TAKEN", "__import__('os')._exit(1)")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A launcher that looks often, with one version of `cat`; the second one is new on disk."""
    repository = tmp_path_factory.mktemp("deployed")
    second = {name.replace("_v1", "_v2"): text for name, text in golden().items() if "_v1" in name}
    add_classifier(repository, "cat", **second)
    with start_inference(repository, **QUICK) as running:
        yield running


def version_path(server: Running, version: int) -> Path:
    return Path(server.env["MODEL_REPOSITORY"]) / f"cat/{version}"


@pytest.fixture
def second(server: Running) -> Iterator[Path]:
    """The directory of a second version, which its test fills."""
    path = version_path(server, 2)
    path.mkdir()
    yield path
    shutil.rmtree(path)


def deploy(server: Running, version: int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "inference.deploy", "cat", "--version", str(version)]
    return subprocess.run(
        [*command, "--url", f"http://127.0.0.1:{server.http_port}"],
        cwd=HOME,
        env=os.environ | server.env,
        capture_output=True,
        text=True,
        timeout=120,
    )


def watched(server: Running) -> list[tuple[str, str]]:
    models = json.loads(readiness(server).body)["models"]
    return [(model["name"], model["version"]) for model in models]


def assert_version_1_never_noticed(server: Running) -> None:
    wait_until(lambda: is_ready(server), "the server is ready", 5)
    assert watched(server) == [("cat", "1")]
    assert counter(server, "edgelens_triton_restarts_total") == 0
    assert counter(server, "edgelens_model_reloads_total", model="cat") == 0
    assert "candidate" not in server.printed()


def test_a_version_whose_process_dies_is_refused_and_healed_by_nobody(
    server: Running,
    second: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (second / "model.py").write_text(DYING)
    for name in ("MODEL_REPOSITORY", "EDGELENS_RUNTIME_DIR"):
        monkeypatch.setenv(name, server.env[name])
    # Triton never says that it has unloaded such a version.
    monkeypatch.setattr("inference.deployment.server.FREE_SECONDS", 1)
    arguments = ["cat", "--version", "2", "--url", f"http://127.0.0.1:{server.http_port}"]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("deploy: version 2 is not fit to serve:")
    assert len(said.splitlines()) == 1
    assert_version_1_never_noticed(server)


def test_a_version_that_was_replaced_on_disk_is_tested_apart(server: Running) -> None:
    model = version_path(server, 1) / "model.py"
    right = model.read_text()
    model.write_text(right.replace("batch = (tensors)", f"batch = ({SWAPPED})"))
    try:
        refused = deploy(server, 1)
    finally:
        model.write_text(right)
    assert refused.returncode == 1
    assert "version 1 is not fit to serve" in refused.stderr
    assert "wrong channel order" in refused.stderr
    assert_version_1_never_noticed(server)
    accepted = deploy(server, 1)
    assert accepted.returncode == 0
    assert "candidate" not in accepted.stdout


def test_a_repository_that_triton_cannot_read_is_named(server: Running, tmp_path: Path) -> None:
    link = Path(server.env["MODEL_REPOSITORY"]) / "unmounted"
    link.symlink_to(tmp_path / "absent")
    try:
        refused = deploy(server, 1)
    finally:
        link.unlink()
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert f"{link}; mend or remove what it names" in line


def test_a_copy_of_the_repository_is_told_from_the_one_that_is_served(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(server.env["MODEL_REPOSITORY"], tmp_path / "models")
    (copy / "cat/2").mkdir()
    config = copy / "cat/config.pbtxt"
    before = config.read_text()
    monkeypatch.setitem(server.env, "MODEL_REPOSITORY", str(copy))
    refused = deploy(server, 2)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"deploy: the server does not serve {copy}: set MODEL_REPOSITORY to the directory that it"
        " serves\n"
    )
    assert config.read_text() == before
    assert [path.name for path in copy.iterdir()] == ["cat"]


def test_new_weights_need_a_new_number_or_a_restart_where_answers_are_cached(
    tmp_path: Path,
) -> None:
    def export(takes: str, **stated: str) -> None:
        shutil.rmtree(tmp_path / "cat", ignore_errors=True)
        # Where a request holds one picture, the self-test cannot ask past the cache.
        add_classifier(tmp_path, "cat", takes, batch=1, **stated)
        with (tmp_path / "cat/config.pbtxt").open("a") as config:
            config.write("response_cache { enable: true }\n")

    export(RIGHT)
    with start_inference(tmp_path) as running:
        assert deploy(running, 1).returncode == 0
        export(MIRRORED, **golden(mirrored=True))
        before = (tmp_path / "cat/config.pbtxt").read_text()
        refused = deploy(running, 1)
        assert (tmp_path / "cat/config.pbtxt").read_text() == before
        second = shutil.copytree(tmp_path / "cat/1", tmp_path / "cat/2") / "model.py"
        with (tmp_path / "cat/config.pbtxt").open("a") as config:
            for name, text in golden(mirrored=True).items():
                if "_v1" in name:
                    config.write(parameter(name.replace("_v1", "_v2"), text))
        right = second.read_text()
        second.write_text(right.replace(MIRRORED, "tensors"))
        unfit = deploy(running, 2)
        second.write_text(right)
        renumbered = deploy(running, 2)  # judged by its own answers, not by those of its last trial
    assert refused.returncode == 1
    assert "restart the server, or export it under a new number" in refused.stderr
    assert "version 2 is not fit to serve" in unfit.stderr
    assert renumbered.returncode == 0, renumbered.stderr


def test_a_server_that_is_still_starting_is_told_from_one_that_is_not_there(
    server: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_REPOSITORY", server.env["MODEL_REPOSITORY"])
    monkeypatch.setenv("TRITON_HTTP_PORT", "9")
    for health_port, advice in ((server.health_port, "is starting, try again"), (9, "--url")):
        monkeypatch.setenv("TRITON_HEALTH_PORT", str(health_port))
        assert main(["cat", "--version", "1"]) == 1
        assert advice in capsys.readouterr().err


def test_an_ipv6_server_is_told_to_load_over_grpc_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_classifier(tmp_path / "models", "cat")
    with start_inference(tmp_path / "models", TRITON_HOST="::1") as running:
        for name in ("MODEL_REPOSITORY", "TRITON_HOST", "EDGELENS_RUNTIME_DIR"):
            monkeypatch.setenv(name, running.env[name])
        monkeypatch.setenv("TRITON_HTTP_PORT", str(running.http_port))
        monkeypatch.setenv("TRITON_GRPC_PORT", str(running.grpc_port))
        over: list[str] = []
        load = GrpcControl.load

        def noted(control: GrpcControl, model: str, timeout: float) -> None:
            over.append(model)
            load(control, model, timeout)

        monkeypatch.setattr(GrpcControl, "load", noted)
        assert main(["cat", "--version", "1"]) == 0
        assert (
            f"HTTP [::1]:{running.http_port}, gRPC [::1]:{running.grpc_port}" in running.printed()
        )
    assert over == [".cat_candidate", "cat"]


def test_what_a_killed_deployment_was_testing_is_unloaded(server: Running) -> None:
    files = ModelFiles(Path(server.env["MODEL_REPOSITORY"]), "cat")
    files.write_candidate(1)  # and whoever did it is gone: nobody holds the lock
    try:
        path = f"/v2/repository/models/{files.candidate}/load"
        assert admin(server, path).status == 200
        told = "A deployment of cat was killed; unloading its test version."
        wait_until(lambda: told in server.printed(), "it is noticed", 20)
        wait_until(lambda: files.candidate not in loaded(server), "it is unloaded", 20)
    finally:
        files.remove_candidate()
    assert_version_1_never_noticed(server)


def loaded(server: Running) -> set[str]:
    """Name the models that are ready."""
    models = json.loads(admin(server, "/v2/repository/index").body)
    return {model["name"] for model in models if model.get("state") == "READY"}


@pytest.mark.parametrize(
    "arguments",
    [["cat"], ["cat", "--version", "0"], ["cat", "--version", "x"], ["cat", "--keep", "-1"]],
    ids=["nothing to do", "version 0", "no number", "negative"],
)
def test_a_wrong_command_line_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cat_image"], "cat_image belongs to a model: deploy that one, and it follows"),
        (["cat", "--url", "https://127.0.0.1:8000"], "is not Triton's own address"),
        (["cat", "--url", "http://127.0.0.1:8000/triton"], "is not Triton's own address"),
        (["cat", "--url", "http://127.0.0.1:x"], "http://127.0.0.1:x is not an address"),
    ],
    ids=["companion", "https", "behind a proxy", "no address"],
)
def test_what_cannot_be_deployed_is_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--version", "1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_a_wrong_setting_has_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRITON_HTTP_PORT", "x")
    assert main(["cat", "--version", "1"]) == 2
    assert capsys.readouterr().err.startswith("deploy: TRITON_HTTP_PORT='x' cannot be used")


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        (KeyboardInterrupt(), 130, "interrupted; what was served before is still served"),
        (OSError(28, "No space left"), 1, "cannot change the repository: [Errno 28] No space left"),
    ],
    ids=["Ctrl-C", "full disk"],
)
def test_a_deployment_that_is_cut_short_says_so(
    fault: BaseException,
    status: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr("inference.deploy._deployment", fail)
    assert main(["cat", "--rollback"]) == status
    assert capsys.readouterr().err == f"deploy: {sentence}\n"
