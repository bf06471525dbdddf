"""A real Chromium and the upload page in it, as a person sees them."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.photos import LABELS, PATHS

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
DEADLINE = 30.0  # seconds
BUSY = "[data-state=waiting], [data-state=running]"
ACTIVE = "return document.activeElement.id || document.activeElement.className"


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """Run Debian's Chromium with a fresh profile until the block ends."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


@dataclass
class Card:
    """What a person reads on one picture's card."""

    name: str
    state: str
    text: str
    labels: list[str]
    percents: list[str]
    values: list[float]


READ_CARDS = """
return [...document.querySelectorAll('.card')].map(card => ({
  name: card.querySelector('.name').innerText,
  state: card.dataset.state,
  text: card.querySelector('.facts').innerText,
  labels: [...card.querySelectorAll('.labels .label')].map(e => e.innerText),
  percents: [...card.querySelectorAll('.labels .percent')].map(e => e.innerText),
  values: [...card.querySelectorAll('meter')].map(e => e.value),
}))
"""


class Page:
    """The page in a browser; every wait has a deadline."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        self._events: list[dict[str, Any]] = []

    def open(self, path: str = "/") -> None:
        self.driver.get(self.url + path)

    def open_ready(self, script: str = "") -> None:
        """Open the page and wait until it names the model; in Chromium, a script may run first."""
        added = script and self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
        self.open()
        self.wait(lambda: "version" in self.text("model-line"), "the model is named")
        if added:
            self.cdp("Page.removeScriptToEvaluateOnNewDocument", **added)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        waiting = WebDriverWait(self.driver, DEADLINE, poll_frequency=0.05)
        waiting.until(lambda _: condition(), f"waited in vain until {what}")

    def element(self, name: str) -> WebElement:
        return self.driver.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self.element(name).text

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def cdp(self, command: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.driver.execute_cdp_cmd(command, arguments)
        return answer

    def add(self, paths: Sequence[Path]) -> None:
        """Choose files, as the dialog would hand them over."""
        before = len(self.cards())
        self.element("chooser").send_keys("\n".join(map(str, paths)))
        self.wait(lambda: len(self.cards()) == before + len(paths), "the pictures are shown")

    def classify(self, paths: Sequence[Path] = ()) -> list[Card]:
        """Choose files, submit, and return the cards when all is done."""
        if paths:
            self.add(paths)
        self.element("submit").click()
        return self.finished()

    def finished(self) -> list[Card]:
        self.wait(
            lambda: (
                not self.driver.find_elements(By.CSS_SELECTOR, BUSY)
                and not self.element("cancel").is_displayed()
            ),
            "every picture is answered",
        )
        return self.cards()

    def cards(self) -> list[Card]:
        return [Card(**card) for card in self.driver.execute_script(READ_CARDS)]

    def button(self, name: str) -> WebElement:
        return self.driver.find_element(By.XPATH, f"//button[@aria-label='{name}']")

    def retry(self, name: str) -> WebElement:
        """Return the button that retries a picture; its name may say when that is possible."""
        found = f"//button[contains(@class, 'retry')][contains(@aria-label, ': {name}')]"
        return self.driver.find_element(By.XPATH, found)

    def drop_text(self, text: str) -> None:
        """Drag text, or a link, over the page and let it go."""
        item = {"items": [{"mimeType": "text/plain", "data": text}], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.cdp("Input.dispatchDragEvent", type=kind, x=300, y=300, data=item)

    def drop(self, paths: Sequence[Path]) -> None:
        """Drag files over the page and let them go."""
        item = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.cdp("Input.dispatchDragEvent", type=kind, x=300, y=300, data=item)

    def copy_picture(self, png: bytes) -> None:
        """Put a picture on the clipboard."""
        self._copy(png, "image/png")

    def copy_text(self, text: str) -> None:
        self._copy(text.encode(), "text/plain")

    def _copy(self, content: bytes, kind: str) -> None:
        permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        self.cdp("Browser.grantPermissions", origin=self.url, permissions=permissions)
        self.cdp("Emulation.setFocusEmulationEnabled", enabled=True)
        failure = self.driver.execute_async_script(
            """
            const [text, type, done] = arguments;
            const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
            const item = new ClipboardItem({[type]: new Blob([bytes], {type})});
            navigator.clipboard.write([item]).then(() => done(''), error => done(String(error)));
            """,
            base64.b64encode(content).decode(),
            kind,
        )
        assert failure == ""

    def paste(self) -> None:
        chain = webdriver.ActionChains(self.driver)
        chain.key_down(Keys.CONTROL).send_keys("v").key_up(Keys.CONTROL).perform()

    def tab_to(self, name: str) -> None:
        """Press Tab until an element, named by its id or class, has the focus."""
        for _ in range(60):
            self.press(Keys.TAB)
            if self.driver.execute_script(ACTIVE) == name:
                return
        raise AssertionError(f"Tab never reaches {name}")

    def resize(self, width: int, height: int) -> None:
        """Become a phone of that size in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
        self.cdp("Emulation.setDeviceMetricsOverride", **metrics)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=True)

    def prefer(self, scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.cdp("Emulation.setEmulatedMedia", features=[feature])

    def run_scripts(self, allowed: bool) -> None:
        """Let the pages that are opened from now on run their scripts, or not."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not allowed)

    def throttle(self, bytes_a_second: int) -> None:
        """Slow uploads down; -1 lets them go at full speed again."""
        speeds = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second}
        self.cdp("Network.emulateNetworkConditions", offline=False, **speeds)

    def disconnect(self) -> None:
        """Take the network away; `throttle(-1)` brings it back."""
        speeds = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.cdp("Network.emulateNetworkConditions", offline=True, **speeds)

    def reset(self) -> None:
        """Undo what a test emulated."""
        self.cdp("Emulation.clearDeviceMetricsOverride")
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=False)
        self.cdp("Emulation.setEmulatedMedia", features=[])
        self.throttle(-1)
        self.run_scripts(True)

    def events(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of all DevTools events of this kind since the page was made."""
        for entry in self.driver.get_log("performance"):
            self._events.append(json.loads(entry["message"])["message"])
        return [event["params"] for event in self._events if event["method"] == method]

    def requests(self, method: str = "") -> list[str]:
        """Return the addresses that the page has requested."""
        sent = [event["request"] for event in self.events("Network.requestWillBeSent")]
        return [request["url"] for request in sent if method in ("", request["method"])]

    def errors(self) -> list[str]:
        """Return the console's errors and warnings since the last call."""
        found = self.driver.get_log("browser")
        return [entry["message"] for entry in found if entry["level"] in ("SEVERE", "WARNING")]

    def next_event(self, method: str) -> dict[str, Any]:
        self.wait(lambda: self.events(method), f"there is {method}")
        return self.events(method)[-1]

    def accessible(self) -> list[dict[str, Any]]:
        """Return the accessibility tree's nodes that assistive technology can see."""
        nodes = self.cdp("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node["ignored"]]


def open_docs(page: Page) -> None:
    page.open("/docs")
    page.wait(
        lambda: page.driver.find_elements(By.CSS_SELECTOR, "article[data-path]"),
        "the documentation is drawn",
    )


def best(cards: list[Card]) -> list[str]:
    return [card.labels[0] for card in cards if card.labels]


def go_on_by_keyboard(page: Page) -> None:
    """Classify the first two photographs, which are on the page, then remove the first."""
    page.tab_to("submit")
    page.press(Keys.ENTER)
    assert best(page.finished()) == LABELS[:2]
    page.tab_to("remove")
    page.press(Keys.SPACE)
    assert [card.name for card in page.cards()] == [PATHS[1].name]
    assert page.driver.execute_script("return document.activeElement.className") == "remove"
