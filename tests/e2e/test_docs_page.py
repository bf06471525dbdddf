"""The documentation of the API in a real Chromium; its commands are run."""

import shutil
import subprocess
from pathlib import Path

import requests
from selenium.webdriver.common.by import By

from tests.e2e.browser import Page, open_docs
from tests.photos import PATHS


def test_the_documentation_shows_every_operation(page: Page) -> None:
    open_docs(page)
    articles = page.driver.find_elements(By.CSS_SELECTOR, "article[data-path]")
    shown = {(a.get_attribute("data-method"), a.get_attribute("data-path")): a for a in articles}
    described = requests.get(f"{page.url}/openapi.json", timeout=10).json()["paths"]
    operations = {
        (verb, path): op for path, verbs in described.items() for verb, op in verbs.items()
    }
    assert shown.keys() == operations.keys()
    for (verb, path), operation in operations.items():
        text = shown[verb, path].text
        assert f"{verb.upper()} {path}" in text.replace("\n", " ")
        assert operation["summary"] in text
        boxes = [box.text for box in shown[verb, path].find_elements(By.TAG_NAME, "pre")]
        addresses = {text.split()[-1] for text in boxes if "curl" in text}
        assert addresses == {f"{page.url}{path}"}
        for status in operation["responses"]:
            assert f"\n{status} " in text


def test_the_documented_commands_work(page: Page, tmp_path: Path) -> None:
    for name in ("one.jpg", "two.png", "photo.jpg", "photo"):
        shutil.copy(PATHS[2], tmp_path / name)
    open_docs(page)
    boxes = page.driver.find_elements(By.CSS_SELECTOR, "article[data-method=post] pre")
    commands = [box.text for box in boxes if "curl" in box.text]
    assert len(commands) >= 8
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, text=True
        )
        assert "koala" in done.stdout, command
