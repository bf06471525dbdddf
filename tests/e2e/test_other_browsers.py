"""The page in Firefox, and in WebKit, the engine of Safari and so of every iPhone."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver

from tests.e2e.browser import Page, best, go_on_by_keyboard
from tests.e2e.conftest import Gateway
from tests.e2e.firefox import Firefox, firefox
from tests.photos import DATA, LABELS, PATHS

NO_PICTURE = DATA / "odd_images/text.jpg"

pytestmark = pytest.mark.filterwarnings("ignore:setting remote_server_addr")  # selenium's own


@contextmanager
def screen() -> Iterator[str]:
    """Run a virtual screen until the block ends, because WebKit has no headless mode."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1280x1024x24"]
    with subprocess.Popen(command, pass_fds=[writer]) as server, os.fdopen(reader) as display:
        os.close(writer)
        try:
            yield f":{display.readline().strip()}"
        finally:
            server.terminate()


@contextmanager
def webkit() -> Iterator[webdriver.WebKitGTK]:
    """Run Debian's small browser around WebKit until the block ends."""
    with screen() as display:
        service = webdriver.WebKitGTKService(env=os.environ | {"DISPLAY": display})
        driver = webdriver.WebKitGTK(service=service)
        try:
            yield driver
        finally:
            driver.quit()


def ready(driver: Any, url: str) -> Page:
    page = Page(driver, url)
    page.open_ready()
    return page


@pytest.fixture
def in_webkit(gateway_url: str) -> Iterator[Page]:
    with webkit() as driver:
        yield ready(driver, gateway_url)


@pytest.fixture(scope="module")
def firefox_driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox")) as driver:
        yield driver


@pytest.fixture
def in_firefox(firefox_driver: Firefox, gateway_url: str) -> Iterator[Page]:
    """The page, which must log no error."""
    yield ready(firefox_driver, gateway_url)
    assert firefox_driver.errors() == []


@pytest.fixture(params=["in_webkit", "in_firefox"])
def page(request: pytest.FixtureRequest) -> Page:
    page: Page = request.getfixturevalue(request.param)
    return page


@contextmanager
def run(page: Page, gateway: Gateway) -> Iterator[None]:
    """Have the page wait for the first two photographs' labels until the block ends."""
    page.add(PATHS[:2])
    gateway.process.send_signal(signal.SIGSTOP)
    try:
        page.element("submit").click()
        page.wait(lambda: page.element("cancel").is_displayed(), "the run has begun")
        yield
    finally:
        gateway.process.send_signal(signal.SIGCONT)


def test_pictures_get_their_labels_or_their_errors(page: Page) -> None:
    cards = page.classify([PATHS[0], NO_PICTURE, PATHS[2]])
    assert best(cards) == [LABELS[0], LABELS[2]]
    assert cards[1].state == "failed"
    assert "This is not a picture" in cards[1].text
    script = "return [...document.querySelectorAll('.preview')].map(e => e.textContent.trim())"
    page.wait(
        lambda: page.driver.execute_script(script) == ["", "No preview", ""],
        "what cannot be previewed is known",
    )


def test_the_keyboard_is_enough(page: Page) -> None:
    page.add(PATHS[:2])
    go_on_by_keyboard(page)


def test_pictures_wait_for_who_comes_back_to_a_page_left_in_a_run(
    in_webkit: Page, gateway: Gateway
) -> None:
    page = in_webkit
    with run(page, gateway):
        page.driver.get("about:blank")
        page.driver.back()
        page.wait(lambda: not page.element("cancel").is_displayed(), "the run has ended")
    assert page.text("status").startswith("Cancelled")
    assert [card.state for card in page.cards()] == ["waiting"] * 2
    assert page.text("submit") == "Classify 2 pictures"


def test_firefox_asks_before_a_page_is_left_in_a_run(in_firefox: Page, gateway: Gateway) -> None:
    """It does not keep such a page: who came back would find no pictures."""
    page = in_firefox
    with run(page, gateway):
        page.driver.execute_script("location.assign('/docs')")
        page.wait(lambda: page.driver.questions() == ["beforeunload"], "it asks")
    assert best(page.finished()) == LABELS[:2]
