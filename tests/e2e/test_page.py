"""The page in a real Chromium, with real photographs, a real gateway and a real Triton."""

import csv
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from gateway.transport.pace import SLOWEST
from gateway.transport.request import LONGEST
from tests.e2e.browser import ACTIVE, Page, best
from tests.e2e.conftest import checked, running_gateway
from tests.memory import MEGABYTE
from tests.photos import DATA, LABELS, PATHS, photos
from tests.servers import Running

PHOTOS = photos()
NO_PICTURE = DATA / "odd_images/text.jpg"
FORMULA_SIGNS = "=\uff1d\uff0b\uff0d\uff20"  # the last four are the full-width = + - @

WITH_A_BUSY_PROXY = """
const real = fetch;
const statuses = STATUSES;
window.fetch = async (address, ...more) => {
  const status = String(address).includes("v1/classify") ? (statuses.shift() ?? 200) : 200;
  return status === 200 ? real(address, ...more) : new Response("<h1>Busy</h1>", { status });
};
"""
# Pauses are short, and requests are counted.
IN_HASTE = """
const pause = setTimeout;
window.setTimeout = (action, milliseconds) => pause(action, milliseconds / 100);
const counted = fetch;
window.sent = 0;
window.fetch = (address, ...more) => {
  sent += String(address).includes("v1/classify");
  return counted(address, ...more);
};
"""
# The server says late what it accepts.
WITH_LATE_LIMITS = """
const real = fetch;
const told = new Promise((tell) => { window.tell = tell; });
window.fetch = async (address, ...more) => {
  if (String(address).includes("v1/models")) {
    await told;
  }
  return real(address, ...more);
};
const read = Blob.prototype.arrayBuffer;
window.largest = 0;
Blob.prototype.arrayBuffer = function () {
  largest = Math.max(largest, this.size);
  return read.call(this);
};
"""
# It takes the server down each time, and a proxy answers.
WITH_A_DEADLY_PICTURE = """
const real = fetch;
window.fetch = async (address, options) => {
  const files = options?.body?.getAll("images[]") ?? [];
  const isDeadly = files.some(({ name }) => name === "text.jpg");
  return isDeadly ? new Response("<h1>Gone</h1>", { status: 502 }) : real(address, options);
};
"""
WITH_A_BUSY_SERVER = """
const real = fetch;
window.fetch = async (address, ...more) => {
  if (!String(address).includes("v1/classify")) {
    return real(address, ...more);
  }
  const error = { code: "overloaded", message: "The server is busy." };
  return Response.json({ error }, { status: 503, headers: { "Retry-After": "30" } });
};
"""
# Browsers cannot time so long a pause: the timer ends at once.
WITH_A_MONTH_OF_REST = """
const real = setTimeout;
window.pauses = [];
window.setTimeout = (action, milliseconds) => {
  pauses.push(milliseconds);
  return real(action, milliseconds);
};
window.fetch = async () => new Response("", { status: 503, headers: { "Retry-After": "2592000" } });
"""
# The model's label file has no WordNet identifiers, and one name for all classes.
WITH_ONE_LABEL = """
const real = fetch;
window.fetch = async (address, ...more) => {
  const answer = await real(address, ...more);
  if (!String(address).includes("v1/classify")) {
    return answer;
  }
  const body = await answer.json();
  for (const prediction of body.results[0].predictions) {
    Object.assign(prediction, { label: "thing", wnid: null });
  }
  return Response.json(body);
};
"""
# Firefox reads what the file has become, but keeps the size that it had.
WITH_A_CHANGED_FILE = """
const real = Blob.prototype.arrayBuffer;
Blob.prototype.arrayBuffer = function () {
  return this.name === "NAME" ? new Blob([this, "more"]).arrayBuffer() : real.call(this);
};
"""
LISTEN = """
window.said = [];
const status = document.getElementById("status");
new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
"""
# Something between the page and the server answers in JSON, but not as the server would.
WITH_A_FOREIGN_ANSWER = """
const real = fetch;
window.fetch = async (address, ...more) => {
  if (!String(address).includes("ADDRESS")) {
    return real(address, ...more);
  }
  return new Response('BODY', { status: STATUS, headers: { "Content-Type": "application/json" } });
};
"""


def with_a_foreign_answer(address: str, body: str, status: int = 200) -> str:
    script = WITH_A_FOREIGN_ANSWER.replace("ADDRESS", address).replace("BODY", body)
    return script.replace("STATUS", str(status))


@pytest.mark.parametrize("photo", PHOTOS, ids=[photo.path.stem for photo in PHOTOS])
def test_each_photo_gets_its_label(page: Page, photo: object) -> None:
    [card] = page.classify([photo.path])
    assert card.labels[0] == photo.label
    assert len(card.labels) == len(card.values) == 5
    assert card.values == sorted(card.values, reverse=True)
    assert [f"{value:.1%}" for value in card.values if value >= 0.0005] == [
        shown for shown in card.percents if not shown.startswith("<")
    ]
    assert f"{photo.path.name}: {photo.label}, {card.percents[0]}." in page.text("status")


def test_many_pictures_keep_their_order_in_a_few_requests(page: Page) -> None:
    order = [*PATHS[6:], *PATHS[:6]]
    cards = page.classify(order)
    assert [card.name for card in cards] == [path.name for path in order]
    assert best(cards) == [*LABELS[6:], *LABELS[:6]]
    assert page.text("status") == "12 pictures classified."
    assert page.requests("POST") == [f"{page.url}/v1/classify"] * 2


def test_a_screen_reader_is_told_once_how_far_the_run_is(page: Page) -> None:
    page.add(PATHS)
    page.driver.execute_script(LISTEN)
    page.classify()
    told = ["0 of 12 pictures done.", "8 of 12 pictures done.", "12 pictures classified."]
    assert page.driver.execute_script("return said") == told


def test_each_card_has_a_preview(page: Page) -> None:
    page.add(PATHS[:2])
    script = "return [...document.querySelectorAll('.preview img')].map(i => i.naturalWidth)"
    widths = [320, 512]  # of the goldfish and the dragon
    page.wait(lambda: page.driver.execute_script(script) == widths, "the previews are drawn")


def test_a_bad_picture_shows_its_own_error_only(page: Page) -> None:
    cards = page.classify([PATHS[0], NO_PICTURE, PATHS[1]])
    assert [card.state for card in cards] == ["done", "failed", "done"]
    assert best(cards) == LABELS[:2]
    answer = requests.post(
        f"{page.url}/v1/classify", files={"image": NO_PICTURE.read_bytes()}, timeout=30
    )
    assert answer.json()["error"]["message"] in cards[1].text
    assert not page.retry("text.jpg").is_displayed()
    assert "1 failed" in page.text("status")


def test_failed_pictures_can_be_found_among_many(page: Page) -> None:
    page.classify([PATHS[0], NO_PICTURE, PATHS[1], NO_PICTURE, PATHS[2]])
    assert page.text("sift") == "Show only the 2 failed"
    page.element("sift").click()
    assert shown(page) == ["text.jpg", "text.jpg (2)"]
    assert not page.element("clear").is_displayed()
    page.button("Remove text.jpg").click()
    focused = page.driver.switch_to.active_element
    assert focused.get_attribute("aria-label") == "Remove text.jpg (2)"
    page.element("sift").click()
    assert len(shown(page)) == 4
    page.element("sift").click()
    page.button("Remove text.jpg (2)").click()
    assert shown(page) == [path.name for path in PATHS[:3]]
    assert not page.element("sift").is_displayed()


@pytest.fixture
def sifted(page: Page) -> Page:
    """The page with two pictures, showing only the one that had failed, which has its label now."""
    page.classify(PATHS[:1])
    page.disconnect()
    page.classify(PATHS[1:2])
    page.throttle(-1)
    page.element("sift").click()
    page.retry(PATHS[1].name).click()
    page.finished()
    [complaint] = page.errors()  # the browser's own
    assert "DISCONNECTED" in complaint
    return page


def test_a_failed_picture_stays_in_sight_when_it_is_tried_again(sifted: Page) -> None:
    assert shown(sifted) == [PATHS[1].name]
    assert best(sifted.classify()) == LABELS[:2]
    assert shown(sifted) == [path.name for path in PATHS[:2]]


def test_the_keyboard_keeps_its_place_when_no_failed_picture_is_left(sifted: Page) -> None:
    sifted.element("sift").click()
    assert shown(sifted) == [path.name for path in PATHS[:2]]
    assert sifted.driver.execute_script(ACTIVE) == "submit"


def shown(page: Page) -> list[str]:
    cards = page.driver.find_elements(By.CSS_SELECTOR, ".card:not([hidden]) .name")
    return [card.text for card in cards]


def test_an_only_bad_picture_shows_the_servers_message(page: Page) -> None:
    [card] = page.classify([NO_PICTURE])
    assert card.state == "failed"
    assert "This is not a picture" in card.text
    [complaint] = page.errors()  # the browser's own, about the status
    assert "415" in complaint


def test_too_large_files_are_refused_by_name_and_not_sent(page: Page, tmp_path: Path) -> None:
    large = tmp_path / "panorama.png"
    with large.open("wb") as file:
        file.truncate(20 * MEGABYTE + 1)
    page.add([large, PATHS[0]])
    assert page.text("status") == "1 picture added. Too large: panorama.png."
    cards = page.classify()
    assert [card.state for card in cards] == ["failed", "done"]
    assert "20 MB" in cards[0].text
    [post] = [
        event["request"]
        for event in page.events("Network.requestWillBeSent")
        if event["request"]["method"] == "POST"
    ]
    assert int(post["headers"].get("Content-Length", 0)) < MEGABYTE


@pytest.fixture
def early(page: Page) -> Iterator[Page]:
    """The page before it knows the server's limits."""
    added = page.cdp("Page.addScriptToEvaluateOnNewDocument", source=WITH_LATE_LIMITS)
    page.open()
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", **added)
    yield page
    page.open_ready()


def test_a_file_that_is_too_large_is_refused_also_when_the_limit_comes_later(
    early: Page, tmp_path: Path
) -> None:
    large = tmp_path / "panorama.png"
    with large.open("wb") as file:
        file.truncate(20 * MEGABYTE + 1)
    early.add([large, PATHS[0]])
    assert [card.state for card in early.cards()] == ["waiting"] * 2
    early.driver.execute_script("tell()")
    early.wait(lambda: early.cards()[0].state == "failed", "the file is refused")
    assert early.text("status") == "Too large: panorama.png."
    assert "20 MB" in early.cards()[0].text
    assert early.text("submit") == "Classify 1 picture"


def test_a_file_of_any_size_does_not_fill_the_memory(early: Page, tmp_path: Path) -> None:
    large = tmp_path / "film.png"
    with large.open("wb") as file:
        file.truncate(100 * MEGABYTE)
    cards = early.classify([PATHS[0], large])
    assert best(cards) == LABELS[:1]
    assert cards[1].state == "failed"
    assert early.driver.execute_script("return largest") < MEGABYTE
    [complaint] = early.errors()  # the browser's own, about the status
    assert "413" in complaint


def test_many_files_that_are_too_large_are_not_all_named(page: Page, tmp_path: Path) -> None:
    large = [tmp_path / f"{number}.png" for number in range(4)]
    for path in large:
        with path.open("wb") as file:
            file.truncate(20 * MEGABYTE + 1)
    page.add([*large, PATHS[0]])
    assert page.text("status") == "1 picture added. 4 are too large."


def test_a_file_name_is_text_and_nothing_else(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>&amp;.jpg"
    shutil.copy(PATHS[0], path)
    [card] = page.classify([path])
    assert card.name == path.name
    assert card.labels[0] == LABELS[0]
    assert len(page.driver.find_elements(By.CSS_SELECTOR, ".card img")) == 1


LEFT = """
const left = (text, at) => {
  const range = document.createRange();
  range.setStart(text, at);
  range.setEnd(text, at + 1);
  return range.getBoundingClientRect().left;
};
"""
READS_RIGHTWARDS = f"""{LEFT}
const said = document.getElementById('status').lastChild;
return [...said.data].every((_, at) => !at || left(said, at - 1) < left(said, at))
"""


def test_a_name_written_from_right_to_left_turns_nothing_else_round(
    page: Page, tmp_path: Path
) -> None:
    path = tmp_path / "photo\u202egpj.jpg"  # what follows the sign is read from right to left
    shutil.copy(PATHS[2], path)
    page.classify([path])
    assert page.text("status").endswith(f"{path.name}: koala, {page.cards()[0].percents[0]}.")
    assert page.driver.execute_script(READS_RIGHTWARDS)


def test_screen_readers_are_told_everything(page: Page) -> None:
    page.classify([PATHS[2], NO_PICTURE])
    nodes = page.accessible()
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}
    for expected in (
        ("heading", "What is in the picture?"),
        ("button", "Choose pictures"),
        ("combobox", "Choose a model"),
        ("button", "Classify 1 picture again"),
        ("button", f"Remove {PATHS[2].name}"),
        ("image", f"Preview of {PATHS[2].name}"),
        ("heading", PATHS[2].name),
        ("StaticText", "koala"),
    ):
        assert expected in named
    assert not [role for role, _ in named if role == "meter"]  # it says what the text has said
    assert any(node["role"]["value"] == "status" for node in nodes)
    assert [n["role"]["value"] for n in nodes if is_focusable(n) and not name_of(n)] == []


def is_focusable(node: dict) -> bool:
    properties = {entry["name"]: entry["value"].get("value") for entry in node["properties"]}
    roles_of_containers = ("RootWebArea", "listitem")
    return bool(properties.get("focusable")) and node["role"]["value"] not in roles_of_containers


def name_of(node: dict) -> str:
    return str(node.get("name", {}).get("value", ""))


def test_the_page_keeps_to_the_servers_limits(browser: webdriver.Chrome, triton: Running) -> None:
    large = max(PHOTOS, key=lambda photo: len(photo.data))
    limits = {"MAX_PICTURES": "4", "MAX_UPLOAD_BYTES": str(len(large.data) - 1)}
    others = [photo for photo in PHOTOS if photo != large]
    with running_gateway(triton, **limits) as gateway:
        for page in checked(Page(browser, gateway.url)):
            page.drop([photo.path for photo in [*others[:8], large]])
            page.wait(lambda page=page: len(page.cards()) == 9, "the pictures are shown")
            assert large.path.name in page.text("status")
            assert page.text("size-limit") == "; up to 0.0939 MB each"
            cards = page.classify()
            assert best(cards) == [photo.label for photo in others[:8]]
            assert cards[8].state == "failed"
            assert page.requests("POST") == [f"{page.url}/v1/classify"] * 2


def test_a_request_of_the_page_is_never_larger_than_the_server_takes(
    browser: webdriver.Chrome, triton: Running
) -> None:
    most = max(len(photo.data) for photo in PHOTOS) + 2048
    limits = {"MAX_UPLOAD_BYTES": str(most), "MAX_BODY_BYTES": str(most)}
    with running_gateway(triton, **limits) as gateway:
        for page in checked(Page(browser, gateway.url)):
            assert best(page.classify(PATHS)) == LABELS


def test_a_request_of_the_page_arrives_in_time_on_the_slowest_line(
    page: Page, tmp_path: Path
) -> None:
    side = math.isqrt(int(LONGEST * SLOWEST) // 2 // 3) + 1
    paths = [tmp_path / f"{number}.bmp" for number in range(2)]
    for path in paths:
        Image.open(PATHS[2]).resize((side, side)).save(path)
    assert best(page.classify(paths)) == ["koala"] * 2
    assert page.requests("POST") == [f"{page.url}/v1/classify"] * 2


def test_a_picture_that_is_removed_in_a_run_is_no_longer_counted(
    page: Page, tmp_path: Path
) -> None:
    gone = Path(shutil.copy(PATHS[0], tmp_path))
    page.throttle(2000)
    page.add([gone, PATHS[1]])
    gone.unlink()
    page.element("submit").click()
    page.wait(lambda: page.requests("POST"), "the request is under way")
    page.button(f"Remove {gone.name}").click()
    page.throttle(-1)
    page.finished()
    assert page.text("status").startswith("1 picture classified. ")


def test_a_file_that_changes_while_it_is_sent_is_classified_as_it_was(
    page: Page, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.bmp"
    with Image.open(PATHS[2]) as picture:
        picture.resize((1000, 1000)).save(changed)
    os.utime(changed, (1e9, 1e9))  # the browser compares seconds
    page.throttle(2000)
    page.add([PATHS[0], changed])
    page.element("submit").click()
    page.wait(lambda: page.requests("POST"), "the request is under way")
    changed.write_bytes(b"another picture")
    page.throttle(-1)
    assert best(page.finished()) == [LABELS[0], LABELS[2]]


def test_a_file_that_was_changed_fails_alone_in_firefox_too(page: Page) -> None:
    page.open_ready(script=WITH_A_CHANGED_FILE.replace("NAME", PATHS[1].name))
    cards = page.classify(PATHS[:2])
    assert best(cards) == LABELS[:1]
    assert "This file cannot be read any more" in cards[1].text
    page.open_ready()


def test_a_server_that_asks_for_a_month_is_not_asked_without_a_pause(page: Page) -> None:
    added = page.cdp("Page.addScriptToEvaluateOnNewDocument", source=WITH_A_MONTH_OF_REST)
    page.open()
    page.wait(lambda: page.driver.execute_script("return pauses.length"), "the page rests")
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", **added)
    assert page.driver.execute_script("return pauses[0]") == 3_600_000
    page.open_ready()


# Proxies answer 502 while the server behind them restarts. With 503 it asks for patience, however
# often, and what it answers in between shows that the pictures before did not end it; each of the
# twelve is sent alone then.
@pytest.mark.parametrize(
    ("statuses", "sent"),
    [([502], 1 + 2), ([503] * 7, 7 + 2), ([*[502] * 5, 200, *[502] * 5], 10 + 12)],
    ids=str,
)
def test_a_busy_proxy_that_does_not_say_how_long_is_asked_again(
    page: Page, statuses: list[int], sent: int
) -> None:
    script = WITH_A_BUSY_PROXY.replace("STATUSES", str(statuses))
    page.open_ready(script=f"{script}{{ {IN_HASTE} }}")
    assert best(page.classify(PATHS)) == LABELS
    assert page.driver.execute_script("return sent") == sent
    assert best(page.classify()) == LABELS
    assert page.driver.execute_script("return sent") == sent + 2  # none is sent alone any more
    page.open_ready()


# 502 also while it restarts, so that is asked again, but it may be these pictures that end it.
@pytest.mark.parametrize(("status", "most", "failed"), [(500, 1, 8), (502, 6, 1), (504, 1, 8)])
def test_a_proxy_that_speaks_for_the_server_keeps_only_the_pictures_that_were_sent(
    page: Page, status: int, most: int, failed: int
) -> None:
    answers = with_a_foreign_answer("v1/classify", "null", status=status)
    page.open_ready(script=f"{answers}{{ {IN_HASTE} }}")
    page.add(PATHS)
    page.element("submit").click()
    page.wait(lambda: f"{failed} failed" in page.text("status"), "the run ends")
    assert page.text("status").startswith(f"The server answered {status}. Try again shortly. ")
    states = sorted(card.state for card in page.cards())
    assert states == ["failed"] * failed + ["waiting"] * (12 - failed)
    assert page.driver.execute_script("return sent") == most
    page.open_ready()


def test_a_picture_that_ends_the_server_fails_alone(page: Page) -> None:
    page.open_ready(script=f"{WITH_A_DEADLY_PICTURE}{{ {IN_HASTE} }}")
    page.add([*PATHS[:2], NO_PICTURE, *PATHS[2:]])
    page.element("submit").click()
    page.wait(lambda: "1 failed" in page.text("status"), "the run ends")
    cards = page.finished()
    assert best(cards) == LABELS
    assert cards[2].state == "failed"
    page.open_ready()


@pytest.mark.parametrize("body", ["null", '{"results":[null]}', '{"results":[{}]}'])
def test_an_answer_that_is_not_the_servers_fails_the_picture_and_not_the_page(
    page: Page, body: str
) -> None:
    page.open_ready(script=with_a_foreign_answer("v1/classify", body))
    [card] = page.classify(PATHS[:1])
    assert "answer does not match the pictures sent" in card.text
    assert page.retry(PATHS[0].name).is_enabled()
    page.open_ready()


@pytest.mark.parametrize("body", ["null", '{"error":{"message":{}}}', '{"error":{"message":null}}'])
def test_an_error_in_a_foreign_shape_is_told_by_its_status(page: Page, body: str) -> None:
    page.open_ready(script=with_a_foreign_answer("v1/classify", body, status=500))
    [card] = page.classify(PATHS[:1])
    assert "The server answered 500. Try again shortly." in card.text
    page.open_ready()


@pytest.mark.parametrize("body", ["null", "{}"])
def test_pictures_can_be_added_whatever_answers_for_the_models(page: Page, body: str) -> None:
    script = with_a_foreign_answer("v1/models", body)
    added = page.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
    page.open()
    page.wait(lambda: "not a list of models" in page.text("model-line"), "it says what is wrong")
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", **added)
    assert best(page.classify(PATHS[:1])) == LABELS[:1]
    page.open_ready()


def test_labels_that_only_their_names_tell_apart_are_shown_as_they_are(page: Page) -> None:
    page.open_ready(script=WITH_ONE_LABEL)
    [card] = page.classify(PATHS[:1])
    assert card.labels == ["thing"] * 5
    page.open_ready()


def test_a_label_written_from_right_to_left_turns_nothing_else_round(page: Page) -> None:
    page.open_ready(script=WITH_ONE_LABEL.replace("thing", r"\u202egniht"))
    [card] = page.classify(PATHS[:1])
    assert page.text("status").endswith(f": \u202egniht, {card.percents[0]}.")
    assert page.driver.execute_script(READS_RIGHTWARDS)
    page.open_ready()


# The exclamation mark stands where a reader of Arabic ends, which is on the left.
ENDS_LEFT = f"""{LEFT}
const text = document.querySelector('.labels .label').firstChild;
return left(text, text.length - 1) < left(text, 0)
"""


def test_a_label_written_from_right_to_left_ends_on_the_left(page: Page) -> None:
    page.open_ready(script=WITH_ONE_LABEL.replace("thing", "قطة!"))
    page.classify(PATHS[:1])
    assert page.driver.execute_script(ENDS_LEFT)
    page.open_ready()


def test_the_servers_own_502_is_about_the_picture_and_not_repeated(page: Page) -> None:
    body = '{"error":{"code":"inference_failed","message":"No probability."}}'
    page.open_ready(script=with_a_foreign_answer("v1/classify", body, status=502))
    [card] = page.classify(PATHS[:1])
    assert "No probability." in card.text
    assert page.retry(PATHS[0].name).is_enabled()
    page.open_ready()


def test_the_page_waits_for_a_busy_server(browser: webdriver.Chrome, triton: Running) -> None:
    with running_gateway(triton, CLIENT_RATE="0.2") as gateway:
        page = Page(browser, gateway.url)
        page.open_ready()
        assert best(page.classify([*PATHS, *PATHS])) == LABELS * 2
        assert any("status of 429" in entry for entry in page.errors())


def saved(page: Page, directory: Path) -> list[dict[str, str]]:
    """Return the rows of the table that the page saves."""
    page.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(directory))
    page.element("save").click()
    kept = directory / "edgelens.csv"
    page.wait(lambda: kept.exists() and kept.stat().st_size, "the table is written")
    return list(csv.DictReader(kept.read_text(encoding="utf-8-sig").splitlines()))


def test_what_is_shown_can_be_kept_as_a_table(page: Page, tmp_path: Path) -> None:
    named = tmp_path / 'odd "name", really.jpg'
    named.write_bytes(PATHS[2].read_bytes())
    formulas = [Path(shutil.copy(PATHS[2], tmp_path / f"{sign}1+1.jpg")) for sign in FORMULA_SIGNS]
    page.classify([named, NO_PICTURE, *formulas])
    rows = saved(page, tmp_path)
    assert [row["rank"] for row in rows] == [*"12345", "", *"12345" * len(formulas)]
    assert (rows[0]["file"], rows[0]["label"]) == (named.name, "koala")
    assert float(rows[0]["probability"]) > 0.5
    assert rows[5]["file"] == NO_PICTURE.name
    assert "not a picture" in rows[5]["error"]
    kept_names = [row["file"] for row in rows[6::5]]
    assert kept_names == [f"'{path.name}" for path in formulas]  # or a spreadsheet computes them


def test_a_guess_does_not_look_like_knowledge(page: Page, tmp_path: Path) -> None:
    dull = tmp_path / "dull.png"
    Image.new("RGB", (1, 1), "red").save(dull)
    sure, unsure = page.classify([PATHS[2], dull])
    assert "Not sure" not in sure.text
    assert "Not sure. It looks most like this:" in unsure.text


def test_classify_sends_a_failed_picture_again(page: Page) -> None:
    page.disconnect()
    [card] = page.classify(PATHS[:1])
    assert card.state == "failed"
    page.throttle(-1)
    assert best(page.classify()) == LABELS[:1]
    [complaint] = page.errors()  # the browser's own
    assert "DISCONNECTED" in complaint


def test_a_cancelled_run_can_be_taken_up_again(page: Page) -> None:
    page.throttle(2000)
    page.add(PATHS[:2])
    page.element("submit").click()
    page.wait(lambda: page.requests("POST"), "the request is under way")
    assert [card.state for card in page.cards()] == ["running"] * 2
    page.element("cancel").click()
    page.wait(lambda: page.text("status").startswith("Cancelled"), "the run has ended")
    assert [card.state for card in page.cards()] == ["waiting"] * 2
    page.wait(lambda: page.events("Network.loadingFailed"), "the request was given up")
    page.throttle(-1)
    assert best(page.classify()) == LABELS[:2]


def test_labels_stay_until_there_are_new_ones(page: Page) -> None:
    page.classify(PATHS[:2])
    page.throttle(2000)
    page.element("submit").click()
    page.wait(lambda: page.requests("POST")[1:], "the second request is under way")
    assert best(page.cards()) == LABELS[:2]
    assert all("Classifying… Labels from before:" in card.text for card in page.cards())
    page.element("cancel").click()
    page.wait(lambda: page.text("status").startswith("Cancelled"), "the run has ended")
    assert all("Not classified again yet. Labels from before:" in c.text for c in page.cards())
    labels = page.driver.find_elements(By.CLASS_NAME, "labels")
    assert [each.is_displayed() for each in labels] == [True, True]
    assert page.element("save").is_displayed()
    page.throttle(-1)
    assert not any("from before" in card.text for card in page.classify())


def test_labels_stay_when_the_server_goes_away(page: Page, tmp_path: Path) -> None:
    page.classify(PATHS[:1])
    page.disconnect()
    [card] = page.classify()
    assert card.state == "failed"
    assert LABELS[0] in card.text
    rows = saved(page, tmp_path)
    assert [row["label"] for row in rows][0::5] == [LABELS[0], ""]
    assert "cannot be reached" in rows[5]["error"]
    page.throttle(-1)
    [complaint] = page.errors()  # the browser's own
    assert "DISCONNECTED" in complaint


def test_a_cancelled_picture_no_longer_says_that_the_server_is_busy(page: Page) -> None:
    page.open_ready(script=WITH_A_BUSY_SERVER)
    page.add(PATHS[:1])
    page.element("submit").click()
    page.wait(lambda: "The server is busy." in page.cards()[0].text, "the card says why it waits")
    page.element("cancel").click()
    page.wait(lambda: page.text("status").startswith("Cancelled"), "the run has ended")
    assert "Not classified yet" in page.cards()[0].text
    page.open_ready()


def test_who_leaves_the_page_is_asked_first_but_only_in_a_run(page: Page) -> None:
    page.throttle(2000)
    page.add(PATHS[:2])
    page.driver.refresh()
    assert not page.events("Page.javascriptDialogOpening")
    page.add(PATHS[:2])
    page.element("submit").click()
    page.wait(lambda: page.requests("POST"), "the request is under way")
    page.driver.refresh()  # the driver answers that it wants to leave
    assert page.next_event("Page.javascriptDialogOpening")["type"] == "beforeunload"


def test_a_run_goes_on_for_who_stays(page: Page) -> None:
    page.throttle(2000)
    page.add(PATHS[:2])
    page.element("submit").click()
    page.wait(lambda: page.requests("POST"), "the request is under way")
    leave = "return dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert not page.driver.execute_script(leave)
    page.throttle(-1)
    assert best(page.finished()) == LABELS[:2]
