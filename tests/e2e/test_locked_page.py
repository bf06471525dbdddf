"""The page of a gateway that asks for a key, with a key that allows hardly any request."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from gateway.keys import add_key
from tests.e2e.browser import Page, best
from tests.e2e.conftest import Gateway, running_gateway, stop_gateway
from tests.photos import LABELS, PATHS
from tests.servers import Running

KEY_RATE = 0.001  # requests a second: the second one is refused, however slow this machine is
PAUSE = 1000  # seconds that the refusal asks clients to wait


@pytest.fixture
def locked(
    browser: webdriver.Chrome, triton: Running, tmp_path: Path
) -> Iterator[tuple[Page, Gateway, str]]:
    """A page whose gateway asks for a key, the gateway, and a key for hardly any request."""
    file = tmp_path / "keys"
    key = add_key(file, "tester", KEY_RATE)
    with running_gateway(triton, API_KEYS_FILE=str(file)) as gateway:
        yield Page(browser, gateway.url), gateway, key


def test_a_locked_and_busy_server(locked: tuple[Page, Gateway, str], tmp_path: Path) -> None:
    """The key is asked for; a refused request is shown on its pictures and can be repeated."""
    page, gateway, key = locked
    page.open()
    page.wait(lambda: page.element("key-form").is_displayed(), "a key is asked for")
    assert page.driver.execute_script("return document.activeElement.id") == "key"
    page.press("wrong", Keys.ENTER)
    page.wait(lambda: "unknown" in page.text("key-message"), "the wrong key is refused")
    page.press(key, Keys.ENTER)
    page.wait(lambda: "version" in page.text("model-line"), "the model is named")
    assert not page.element("key-form").is_displayed()

    cards = page.classify(PATHS[:9])
    assert best(cards) == LABELS[:8]
    assert cards[8].state == "failed"  # the server asks for a longer wait than the page allows
    assert f"At most {KEY_RATE} requests a second." in cards[8].text
    retry = page.retry(PATHS[8].name)
    assert retry.text.startswith("Try again in ")
    assert str(retry.get_attribute("aria-label")).startswith("Try again in ")
    assert not retry.is_enabled()
    assert page.text("submit") == "Classify"  # not those again that have their labels
    let_time_pass(page, tmp_path / "keys")
    page.wait(retry.is_enabled, "the server may be asked again")
    retry.click()
    assert best(page.finished()) == LABELS[:9]
    page.driver.refresh()
    page.wait(lambda: "version" in page.text("model-line"), "the key is still known")

    stop_gateway(gateway)
    page.add(PATHS[:9])
    page.element("submit").click()
    page.wait(lambda: "cannot be reached" in page.text("status"), "the run has ended")
    cards = page.cards()
    assert [card.state for card in cards] == ["failed"] * 8 + ["waiting"]
    assert "cannot be reached" in cards[0].text
    assert page.retry(PATHS[0].name).is_enabled()
    statuses = [entry for entry in page.errors() if "status of 401" in entry or "429" in entry]
    assert len(statuses) == 3


def test_a_server_that_asks_for_long_patience_ends_the_run(
    locked: tuple[Page, Gateway, str],
) -> None:
    page, _, key = locked
    page.open()
    page.wait(lambda: page.element("key-form").is_displayed(), "a key is asked for")
    page.press(key, Keys.ENTER)
    page.wait(lambda: "version" in page.text("model-line"), "the model is named")
    page.add([*PATHS, *PATHS[:5]])
    page.element("submit").click()
    page.wait(lambda: "8 pictures classified, 8 failed." in page.text("status"), "the run ends")
    assert page.text("status").startswith(f"At most {KEY_RATE} requests a second. ")
    assert [card.state for card in page.cards()] == ["done"] * 8 + ["failed"] * 8 + ["waiting"]
    assert not page.element("cancel").is_displayed()
    assert page.text("submit") == "Classify 1 picture"


def let_time_pass(page: Page, keys: Path) -> None:
    """Let the page wait, while its date is set back, and the gateway accept the next request."""
    keys.write_text(keys.read_text().replace(f":{KEY_RATE:g}", ":1000"))
    page.driver.execute_script(
        "const now = performance.now(); performance.now = () => now + arguments[0];"
        "Date.now = () => 0",
        1000 * PAUSE,
    )
