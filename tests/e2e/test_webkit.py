"""The page in WebKit, the engine of Safari and so of every iPhone, as Debian packages it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver

from tests.e2e.browser import Page, best, go_on_by_keyboard
from tests.e2e.conftest import Gateway
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


@pytest.fixture
def webkit(gateway_url: str) -> Iterator[Page]:
    """The page, ready, in Debian's small browser around WebKit."""
    with screen() as display:
        service = webdriver.WebKitGTKService(env=os.environ | {"DISPLAY": display})
        driver = webdriver.WebKitGTK(service=service)
        try:
            page = Page(driver, gateway_url)
            page.open()
            page.wait(lambda: "version" in page.text("model-line"), "the model is named")
            yield page
        finally:
            driver.quit()


def test_pictures_get_their_labels_or_their_errors_in_webkit(webkit: Page) -> None:
    cards = webkit.classify([PATHS[0], NO_PICTURE, PATHS[2]])
    assert best(cards) == [LABELS[0], LABELS[2]]
    assert cards[1].state == "failed"
    assert "This is not a picture" in cards[1].text
    script = "return [...document.querySelectorAll('.preview')].map(e => e.textContent.trim())"
    webkit.wait(
        lambda: webkit.driver.execute_script(script) == ["", "No preview", ""],
        "what cannot be previewed is known",
    )


def test_pictures_wait_for_who_comes_back_to_a_page_left_in_a_run(
    webkit: Page, gateway: Gateway
) -> None:
    webkit.add(PATHS[:2])
    gateway.process.send_signal(signal.SIGSTOP)  # so that the request is under way
    try:
        webkit.element("submit").click()
        webkit.wait(lambda: webkit.element("cancel").is_displayed(), "the run has begun")
        webkit.driver.get("about:blank")
        webkit.driver.back()
        webkit.wait(lambda: not webkit.element("cancel").is_displayed(), "the run has ended")
    finally:
        gateway.process.send_signal(signal.SIGCONT)
    assert webkit.text("status").startswith("Cancelled")
    assert [card.state for card in webkit.cards()] == ["waiting"] * 2
    assert webkit.text("submit") == "Classify 2 pictures"


def test_the_keyboard_is_enough_in_webkit(webkit: Page) -> None:
    webkit.add(PATHS[:2])
    go_on_by_keyboard(webkit)
