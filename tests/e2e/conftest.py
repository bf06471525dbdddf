"""The real stack, once a session: exported models, Triton, a gateway in front of it; a browser."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver

from benchmarks.exports import sources_digest
from benchmarks.servers import free_port
from gateway.ask import answers
from tests.e2e.browser import Page, chromium
from tests.lite import MODEL
from tests.places import GATEWAY_PYTHON, HOME, INFERENCE_PYTHON
from tests.servers import Running, start_inference
from tests.waiting import wait_until

CACHE = HOME / ".cache/test"


@dataclass(frozen=True)
class Gateway:
    """A gateway process and the address where it answers."""

    url: str
    process: subprocess.Popen[bytes]


def cached_repository() -> Path:
    """Return the repository of the current exporter; keep only the newest of the others."""
    repository = CACHE / f"model_repository-{sources_digest()[:12]}"
    others = [path for path in CACHE.glob("model_repository*") if path != repository]
    for path in sorted(others, key=lambda path: path.stat().st_mtime)[:-1]:
        shutil.rmtree(path)
    return repository


def export(repository: Path, *arguments: str) -> None:
    command = [str(INFERENCE_PYTHON), str(HOME / "export_model.py"), *arguments]
    subprocess.run([*command, "--repository", str(repository)], check=True, cwd=HOME)


@pytest.fixture(scope="session")
def repository() -> Path:
    """EfficientNet-Lite0 with its real weights and VGG16 with seeded random ones, both at f32.

    They are kept between runs.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:  # other tests may need them at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        return export_missing(cached_repository())


def export_missing(cached: Path) -> Path:
    for name, weights in ((MODEL, "imagenet"), ("vgg16", "random")):
        if not (cached / name / "1").exists():
            export(cached, name, "--weights", weights)
        config = cached / name / "config.pbtxt"
        text = config.read_text()
        if 'string_value: "auto"' in text:
            config.write_text(text.replace('string_value: "auto"', 'string_value: "f32"'))
    return cached


@pytest.fixture(scope="session")
def triton(repository: Path) -> Iterator[Running]:
    with start_inference(repository) as running:
        yield running


def start_gateway(triton: Running, **settings: str) -> Gateway:
    """Start `python -m gateway` in front of a running Triton, on a port of its own choosing."""
    port = free_port()
    environment = {
        **os.environ,
        "PORT": str(port),
        "TRITON_URL": f"127.0.0.1:{triton.grpc_port}",
        "TRITON_METRICS_URL": f"http://127.0.0.1:{triton.metrics_port}/metrics",
        "MODEL": MODEL,
        **settings,
    }
    process = subprocess.Popen([GATEWAY_PYTHON, "-m", "gateway"], cwd=HOME, env=environment)
    return Gateway(f"http://127.0.0.1:{port}", process)


def stop_gateway(gateway: Gateway) -> None:
    gateway.process.terminate()
    try:
        gateway.process.wait(30)
    finally:
        gateway.process.kill()


def is_ready(url: str) -> bool:
    return answers(url + "/readyz", timeout=5)


@contextmanager
def running_gateway(triton: Running, **settings: str) -> Iterator[Gateway]:
    """Run a gateway until the block ends; wait until it is ready."""
    running = start_gateway(triton, **settings)
    try:
        wait_until(lambda: is_ready(running.url), "the gateway is ready", 60)
        yield running
    finally:
        stop_gateway(running)


@pytest.fixture(scope="session")
def gateway(triton: Running) -> Iterator[Gateway]:
    with running_gateway(triton) as running:
        yield running


@pytest.fixture(scope="session")
def gateway_url(gateway: Gateway) -> str:
    return gateway.url


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def page(browser: webdriver.Chrome, gateway_url: str) -> Iterator[Page]:
    """The page, ready; afterwards, it must have contacted no other host and logged no error."""
    yield from checked(Page(browser, gateway_url))


def checked(page: Page) -> Iterator[Page]:
    page.driver.get("about:blank")
    page.driver.get_log("browser")
    page.driver.get_log("performance")
    page.open_ready()
    yield page
    assert page.errors() == []
    assert strangers(page) == []
    page.reset()


def strangers(page: Page) -> list[str]:
    own = (page.url + "/", f"blob:{page.url}/")
    return [url for url in page.requests() if not url.startswith(own)]
