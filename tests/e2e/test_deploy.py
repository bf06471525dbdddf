"""Versions come and go under load, and a bad one never answers a client."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import requests
import tritonclient.grpc
import tritonclient.http

from inference.admin_client import AdminClient
from tests.e2e.conftest import is_ready, running_gateway
from tests.lite import MODEL, copy_repository
from tests.photos import photos
from tests.places import HOME, INFERENCE_PYTHON
from tests.servers import Running, start_inference
from tests.waiting import wait_until

HAMMER = next(photo for photo in photos() if photo.label == "hammer")
CLIENTS = 8
REQUESTS = 1000
UNLOADING = "version 2 is not at ready state"
GOLDEN = """
parameters {{ key: "weights_v{version}" value {{ string_value: "imagenet" }} }}
parameters {{ key: "golden_label_v{version}" value {{ string_value: "n03481172 hammer" }} }}
parameters {{ key: "golden_probability_v{version}" value {{ string_value: "0.892432" }} }}
"""


@pytest.fixture(scope="module")
def swapped(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of EfficientNet-Lite0 that takes RGB for BGR."""
    target = tmp_path_factory.mktemp("swapped") / "model.savedmodel"
    script = HOME / "tests/e2e/swap_channels.py"
    source = repository / MODEL / "1/model.savedmodel"
    subprocess.run([INFERENCE_PYTHON, script, source, target], check=True, capture_output=True)
    return target.parent


@pytest.fixture(scope="module")
def models(repository: Path, swapped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1, as exported; `add` brings the others."""
    return copy_repository(repository, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Running]:
    with start_inference(models) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server: Running) -> Iterator[str]:
    with running_gateway(server) as running:
        yield running.url


@pytest.fixture
def only_version_1(server: Running, models: Path) -> Iterator[None]:
    """Serve only version 1 when a test begins; remove its new versions when it ends."""
    if loaded(server)[MODEL] != {"1"}:
        assert deploy(server, models, "--version", "1", "--keep", "0").returncode == 0
    yield
    (models / MODEL / "2").unlink()


def add(models: Path, version: int, source: Path) -> None:
    """Add a version, with the golden answer that a correct one would give."""
    (models / MODEL / str(version)).symlink_to(source)
    config = models / MODEL / "config.pbtxt"
    with config.open("a") as file:
        file.write(GOLDEN.format(version=version))


def deploy(
    server: Running, models: Path, *arguments: str, model: str = MODEL
) -> "subprocess.CompletedProcess[str]":
    command = [INFERENCE_PYTHON, "-m", "inference.deploy", model, "--repository", models]
    url = f"http://127.0.0.1:{server.http_port}"
    return subprocess.run(
        [*command, "--url", url, *arguments],
        cwd=HOME,
        env=os.environ | {"EDGELENS_RUNTIME_DIR": str(server.runtime_dir)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def admin(server: Running) -> AdminClient:
    return AdminClient(server.host, server.http_port, server.admin_key)


def loaded(server: Running) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for model, version in admin(server).loaded(timeout=10):
        found.setdefault(model, set()).add(version)
    return found


def policy(models: Path) -> str:
    (line,) = re.findall(r"^version_policy.*$", (models / MODEL / "config.pbtxt").read_text(), re.M)
    return line


@dataclass
class Load:
    """Clients of four kinds that ask until told to stop and `least` requests have ended."""

    server: Running
    gateway: str
    least: int
    failures: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    encoded_versions: list[str] = field(default_factory=list)  # the ensemble's
    answered: int = 0
    done: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, number: int) -> None:
        ask = [self.over_gateway, self.over_http, self.over_grpc, self.encoded][number % 4]
        with requests.Session() as session:
            self.repeat(ask, number, session)

    def repeat(self, ask, number: int, session: requests.Session) -> None:
        count = 0
        while not self.done.is_set() or self.answered < self.least:
            count += 1
            try:
                problem = ask(number * 1_000_000 + count, session)
            except Exception as error:
                problem = f"{ask.__name__}: {error!r} {error}"
            with self.lock:
                self.answered += 1
                if problem:
                    self.failures.append(problem)

    def over_gateway(self, number: int, session: requests.Session) -> str | None:
        answer = session.post(
            f"{self.gateway}/v1/classify?top_k=1",
            data=HAMMER.data + str(number).encode(),
            headers={"Content-Type": "image/jpeg"},
            timeout=30,
        )
        if answer.status_code != 200:
            return f"gateway: {answer.status_code} {answer.text}"
        body = answer.json()
        self.versions.append(body["version"])
        best = body["results"][0]["predictions"][0]
        return self.verdict("gateway", best["wnid"], best["probability"])

    def over_http(self, number: int, session: requests.Session) -> str | None:
        with tritonclient.http.InferenceServerClient(
            f"127.0.0.1:{self.server.http_port}"
        ) as client:
            return self.direct(client, tritonclient.http, number)

    def over_grpc(self, number: int, session: requests.Session) -> str | None:
        return self.direct(self.grpc, tritonclient.grpc, number)

    def direct(self, client, module, number: int) -> str | None:
        """Send a new tensor beside the golden one, so that no cache can answer."""
        noise = np.random.default_rng(number).integers(0, 256, self.tensor.shape, np.uint8)
        batch = np.stack([self.tensor, noise])
        image = module.InferInput("image", list(batch.shape), "UINT8")
        image.set_data_from_numpy(batch)
        best = module.InferRequestedOutput("probabilities", class_count=1)
        result = client.infer(MODEL, [image], outputs=[best])
        response = result.get_response()
        version = (
            response["model_version"] if isinstance(response, dict) else response.model_version
        )
        self.versions.append(version)
        return self.classified(module.__name__, result)

    def encoded(self, number: int, session: requests.Session) -> str | None:
        image = tritonclient.grpc.InferInput("image", [1, 1], "BYTES")
        picture = HAMMER.data + str(number).encode()
        image.set_data_from_numpy(np.array([[picture]], dtype=np.object_))
        best = tritonclient.grpc.InferRequestedOutput("probabilities", class_count=1)
        result = self.grpc.infer(f"{MODEL}_image", [image], outputs=[best])
        self.encoded_versions.append(result.get_response().model_version)
        return self.classified("ensemble", result)

    def classified(self, what: str, result) -> str | None:
        score, _, label = result.as_numpy("probabilities")[0, 0].decode().split(":", 2)
        return self.verdict(what, label.split(" ")[0], float(score))

    def verdict(self, what: str, wnid: str, probability: float) -> str | None:
        """A model that mixes up the channels says hammer too, but with 0.955."""
        if wnid == HAMMER.wnid and abs(probability - 0.892432) < 2e-3:
            return None
        return f"{what}: {wnid} {probability}"


@contextmanager
def under_load(server: Running, gateway: str, models: Path, least: int = 0) -> Iterator[Load]:
    """Keep 8 clients asking while the block runs, and until `least` requests have ended."""
    load = Load(server, gateway, least)
    load.grpc = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
    load.tensor = decoded(load.grpc)
    threads = [threading.Thread(target=load.run, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: load.answered > CLIENTS, "every client has asked", 30)
        yield load
    finally:
        load.done.set()
        for thread in threads:
            thread.join()
        load.grpc.close()


def decoded(client: "tritonclient.grpc.InferenceServerClient") -> np.ndarray:
    image = tritonclient.grpc.InferInput("image", [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[HAMMER.data]], dtype=np.object_))
    return client.infer(f"{MODEL}_decode", [image]).as_numpy("tensor")[0]


def classify(gateway: str, query: str, model: str = MODEL) -> requests.Response:
    url = f"{gateway}/v1/classify?model={model}&{query}"
    return requests.post(url, HAMMER.data, headers={"Content-Type": "image/jpeg"}, timeout=30)


def listed(gateway: str, name: str = MODEL) -> list[str]:
    models = requests.get(f"{gateway}/v1/models", timeout=10).json()["models"]
    return next((model["versions"] for model in models if model["name"] == name), [])


def test_a_version_with_swapped_channels_never_serves(
    server: Running, gateway: str, models: Path, swapped: Path, only_version_1: None
) -> None:
    add(models, 2, swapped)
    with under_load(server, gateway, models) as load:
        refused = deploy(server, models, "--version", "2")
    assert refused.returncode == 1
    assert "wrong channel order" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert load.failures == []
    assert set(load.versions) == {"1"}
    assert loaded(server)[MODEL] == {"1"}
    assert "versions: [ 1 ]" in policy(models)
    assert not list(models.glob(".*"))


def test_a_version_that_fails_in_service_is_taken_back(
    server: Running, models: Path, repository: Path, only_version_1: None
) -> None:
    """The ensemble's decoder squeezes, which only the model in service can show."""
    add(models, 2, repository / MODEL / "1")
    config = models / f"{MODEL}_decode/config.pbtxt"
    right = config.read_text()
    try:
        config.write_text(right.replace('string_value: "center"', 'string_value: "none"'))
        admin(server).load(f"{MODEL}_decode", timeout=60)
        refused = deploy(server, models, "--version", "2")
    finally:
        config.write_text(right)
        admin(server).load(f"{MODEL}_decode", timeout=60)
    assert refused.returncode == 1
    assert "wrong resize (squeezed instead of cropped)" in refused.stderr
    assert "version 1 serves again" in refused.stderr
    assert loaded(server)[MODEL] == loaded(server)[f"{MODEL}_image"] == {"1"}
    assert "versions: [ 1 ]" in policy(models)


def test_a_new_version_comes_into_service_without_losing_a_request(
    server: Running, gateway: str, models: Path, repository: Path, only_version_1: None
) -> None:
    add(models, 2, repository / MODEL / "1")
    with under_load(server, gateway, models, REQUESTS) as load:
        deployed = deploy(server, models, "--version", "2")
        assert deployed.returncode == 0, deployed.stderr
        assert loaded(server)[MODEL] == {"1", "2"}
        before = len(load.versions)
        wait_until(lambda: "2" in load.versions[before:], "version 2 answers", 30)
        assert classify(gateway, "version=1").json()["version"] == "1"
        wait_until(lambda: listed(gateway) == ["1", "2"], "the gateway knows both", 15)
        drawn = [classify(gateway, "ab=1:1,2:1").json()["version"] for _ in range(30)]
        assert set(drawn) == {"1", "2"}
        retired = deploy(server, models, "--version", "2", "--keep", "0")
        assert retired.returncode == 0, retired.stderr
        assert loaded(server)[MODEL] == {"2"}
        assert "versions: [ 2 ]" in policy(models)
        assert classify(gateway, "version=1").status_code == 404
        wait_until(lambda: listed(gateway) == ["2"], "version 1 is forgotten", 15)
        assert classify(gateway, "version=1").status_code == 404
        assert is_ready(gateway)
    assert load.failures == []
    assert load.answered >= REQUESTS
    for versions in (load.versions, load.encoded_versions):
        assert (versions[0], versions[-1]) == ("1", "2")
    with under_load(server, gateway, models) as load:
        rolled = deploy(server, models, "--rollback")
        assert rolled.returncode == 0, rolled.stderr
        assert f"{MODEL}_image over HTTP" in rolled.stdout
        assert loaded(server)[MODEL] == {"1"}
        assert "versions: [ 1 ]" in policy(models)
    # Triton 24.10 looks a version up again to label its answers; a direct client has to retry.
    assert all(UNLOADING in failure for failure in load.failures)
    assert not any("gateway" in failure for failure in load.failures)
    assert len(load.failures) <= CLIENTS
    assert load.versions[-1] == load.encoded_versions[-1] == "1"


def test_a_model_that_is_new_comes_into_service_without_a_restart(
    server: Running, gateway: str, models: Path, repository: Path
) -> None:
    shutil.copytree(repository / MODEL, models / "mine")
    config = models / "mine/config.pbtxt"
    config.write_text(config.read_text().replace(f'name: "{MODEL}"', 'name: "mine"'))
    deployed = deploy(server, models, "--version", "1", model="mine")
    assert deployed.returncode == 0, deployed.stderr
    wait_until(lambda: listed(gateway, "mine") == ["1"], "the gateway knows it", 15)
    body = classify(gateway, "version=1", "mine").json()
    assert body["model"] == "mine"
    assert body["results"][0]["predictions"][0]["label"] == HAMMER.label
    assert is_ready(gateway)


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--version", "9"], {}, "there is no version 9"),
        (["--rollback"], {}, "there is no version of efficientnet_lite0 before 1"),
        (["--version", "1"], {"TRITON_ADMIN_KEY": "not-the-key"}, "does not accept this admin key"),
        (["--version", "1", "--url", "http://127.0.0.1:9"], {}, "nothing answers at"),
    ],
    ids=["missing version", "nothing to go back to", "wrong key", "no server"],
)
def test_a_mistake_is_one_sentence(
    server: Running,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    sentence: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    finished = deploy(server, models, *arguments)
    assert finished.returncode == 1
    assert sentence in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
