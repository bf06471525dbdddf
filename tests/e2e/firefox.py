"""Debian's Firefox, driven by WebDriver BiDi.

Debian has no geckodriver, which Selenium needs for Firefox. This speaks to the browser itself, and
offers as much of Selenium's driver as `Page` uses.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By
from websocket import WebSocket, create_connection

from tests.waiting import wait_until

DEADLINE = 60.0  # seconds


class Firefox:
    """One tab; if the page asks whether to leave it, the answer is no."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket, self._count = socket, 0
        self._events: list[dict[str, Any]] = []
        stay = {"unhandledPromptBehavior": {"beforeUnload": "dismiss"}}
        self._command("session.new", capabilities={"alwaysMatch": stay})
        self._command(
            "session.subscribe", events=["log.entryAdded", "browsingContext.userPromptOpened"]
        )
        # The tab that Firefox opens by itself never gets the keyboard's focus.
        self._tab = self._command("browsingContext.create", type="tab")

    def get(self, url: str) -> None:
        self._command("browsingContext.navigate", **self._tab, url=url, wait="complete")

    def execute_script(self, body: str, *arguments: dict[str, Any]) -> Any:
        """Run the body of a function; its result must have a form in JSON."""
        function = (
            f"function() {{ return JSON.stringify((function() {{ {body} }})(...arguments)) }}"
        )
        answer = self._command(
            "script.callFunction",
            functionDeclaration=function,
            arguments=arguments,
            awaitPromise=False,
            target=self._tab,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"].get("value", "null"))

    def find_elements(self, by: str, value: str) -> list["Element"]:
        locator = {"type": "css", "value": f"#{value}" if by == By.ID else value}
        found = self._command("browsingContext.locateNodes", **self._tab, locator=locator)
        return [Element(self, {"sharedId": node["sharedId"]}) for node in found["nodes"]]

    def find_element(self, by: str, value: str) -> "Element":
        (element,) = self.find_elements(by, value)
        return element

    def execute(self, _: str, actions: dict[str, Any]) -> None:
        """Press keys, or move and click the mouse, as an ActionChains of Selenium describes it."""
        self._command("input.performActions", **self._tab, **actions)

    def choose(self, chooser: dict[str, str], paths: list[str]) -> None:
        self._command("input.setFiles", **self._tab, element=chooser, files=paths)

    def errors(self) -> list[str]:
        """Return the console's errors and warnings."""
        return [event["text"] for event in self._events if event.get("level") in ("error", "warn")]

    def questions(self) -> list[str]:
        """Return the kinds of questions that the page has asked in a box."""
        return [event["type"] for event in self._events if "handler" in event]

    def quit(self) -> None:
        self._command("browser.close")

    def _command(self, method: str, **arguments: Any) -> dict[str, Any]:
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": arguments}))
        while (message := json.loads(self._socket.recv())).get("id") != self._count:
            self._events.append(message["params"])
        assert message["type"] == "success", message
        result: dict[str, Any] = message["result"]
        return result


class Element:
    def __init__(self, browser: Firefox, reference: dict[str, str]) -> None:
        self._browser, self._reference = browser, reference

    @property
    def text(self) -> str:
        text: str = self._run("return arguments[0].innerText")
        return text

    def is_displayed(self) -> bool:
        return bool(self._run("return arguments[0].checkVisibility()"))

    def send_keys(self, paths: str) -> None:
        """Choose files, one on each line."""
        self._browser.choose(self._reference, paths.splitlines())

    def click(self) -> None:
        self._run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})")
        origin = {"type": "element", "element": self._reference}
        steps = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._browser.execute(
            "", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]}
        )

    def _run(self, body: str) -> Any:
        return self._browser.execute_script(body, self._reference)


@contextlib.contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """Run Firefox with a fresh profile until the block ends."""
    command = ["firefox-esr", "--headless", "--no-remote", "--remote-debugging-port=0"]
    address = profile / "WebDriverBiDiServer.json"
    with subprocess.Popen(
        [*command, "--profile", str(profile)],
        env=os.environ | {"HOME": str(profile)},  # it makes directories there
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(address.exists, "Firefox listens", DEADLINE)
            url = "ws://{ws_host}:{ws_port}/session".format(**json.loads(address.read_text()))
            with contextlib.closing(
                create_connection(url, DEADLINE, suppress_origin=True)
            ) as socket:
                browser = Firefox(socket)
                yield browser
                browser.quit()
            process.wait(DEADLINE)
        finally:
            process.kill()
