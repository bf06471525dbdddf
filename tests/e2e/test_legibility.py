"""Both pages on a narrow phone, in both colour schemes, and with forced colours."""

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.e2e.browser import Page, open_docs
from tests.photos import DATA, PATHS

NO_PICTURE = DATA / "odd_images/text.jpg"
READABLE = 4.5  # the contrast that WCAG asks of text
WIDTHS = "return [document.documentElement.scrollWidth, innerWidth]"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_narrow_phone_scrolls_in_one_direction_only(page: Page, path: str) -> None:
    page.resize(360, 740)
    if path == "/":
        page.classify([PATHS[1], NO_PICTURE])
        assert page.element("camera").get_attribute("capture") == "environment"
        label = page.driver.find_element(By.CSS_SELECTOR, "label[for=camera]")
        assert label.is_displayed()
    else:
        open_docs(page)
    assert page.driver.execute_script(WIDTHS) == [360, 360]


@pytest.mark.parametrize(
    ("path", "way"), [("/", "the labels are shown as JSON"), ("/docs", "read openapi.json")]
)
def test_without_scripts_a_page_says_what_works(page: Page, path: str, way: str) -> None:
    page.run_scripts(False)
    page.open(path)
    shown = page.driver.find_element(By.TAG_NAME, "body").text
    assert f"Without JavaScript, {way}" in shown
    assert "…" not in shown  # nothing is under way


READ_BROKEN_WORDS = """
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const range = document.createRange();
const broken = [];
while (texts.nextNode()) {
  const { data, parentElement } = texts.currentNode;
  if (!parentElement.checkVisibility() || parentElement.closest("pre, code, .unseen")) {
    continue;
  }
  for (const { 0: word, index } of data.matchAll(/\\p{L}+/gu)) {
    range.setStart(texts.currentNode, index);
    range.setEnd(texts.currentNode, index + word.length);
    const lines = new Set([...range.getClientRects()].map(({ top }) => top));
    broken.push(...(lines.size > 1 ? [word] : []));
  }
}
return broken
"""


# 320 is a window of 1280 at 400 %; 240 leaves as much room as 480 for letters of twice the size.
@pytest.mark.parametrize("width", [320, 240])
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_narrow_window_breaks_no_word(page: Page, path: str, width: int, tmp_path: Path) -> None:
    page.resize(width, 740)
    if path == "/":
        page.classify([shutil.copy(PATHS[1], tmp_path / "1.jpg"), NO_PICTURE])
    else:
        open_docs(page)
    assert page.driver.execute_script(READ_BROKEN_WORDS) == []
    assert page.driver.execute_script(WIDTHS) == [width, width]


def test_an_iphone_does_not_zoom_into_a_field(page: Page) -> None:
    page.resize(360, 740)
    for field in ("model", "key"):
        size = page.element(field).value_of_css_property("font-size")
        assert float(size.removesuffix("px")) >= 16  # smaller letters would be enlarged


def test_the_longest_name_of_a_model_fits_on_a_narrow_phone(page: Page) -> None:
    page.resize(360, 740)
    page.open_ready()
    page.driver.execute_script("document.getElementById('model').add(new Option('m'.repeat(128)))")
    assert page.driver.execute_script(WIDTHS) == [360, 360]


READ_COLOURS = """
const opaque = colour => !/, 0\\)$/.test(colour) && colour !== 'transparent';
const ground = e => !e ? 'rgb(255, 255, 255)'
  : opaque(getComputedStyle(e).backgroundColor) ? getComputedStyle(e).backgroundColor
  : ground(e.parentElement);
return [...document.body.querySelectorAll('*')]
  .filter(e => e.checkVisibility())
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .map(e => [e.outerHTML.slice(0, 80), getComputedStyle(e).color, ground(e)])
"""


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_is_readable_in_both_colour_schemes(page: Page, scheme: str, path: str) -> None:
    page.prefer(scheme)
    if path == "/":
        page.classify([PATHS[0], NO_PICTURE])
        page.add(PATHS[1:2])
        Select(page.element("model")).select_by_value("vgg16")
    else:
        open_docs(page)
    read = page.driver.execute_script(READ_COLOURS)
    assert len(read) > 20
    assert [entry for entry in read if contrast(entry[1], entry[2]) < READABLE] == []
    ground = page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) < 0.05) == (scheme == "dark")


def test_a_bar_shows_its_length_where_colours_are_forced(page: Page) -> None:
    forced = {"name": "forced-colors", "value": "active"}
    page.cdp("Emulation.setEmulatedMedia", features=[forced])
    page.classify(PATHS[2:3])
    bar = page.driver.find_element(By.TAG_NAME, "meter")
    shot = Image.open(io.BytesIO(bar.screenshot_as_png)).convert("RGB")
    middle = shot.height // 2
    assert shot.getpixel((10, middle)) != shot.getpixel((shot.width - 10, middle))
    assert bar.value_of_css_property("forced-color-adjust") == "none"  # or Firefox hides the length


def luminance(colour: str) -> float:
    """Return WCAG's relative luminance of `rgb(r, g, b)`."""
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
