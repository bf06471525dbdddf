"""The pages in a real Chromium, with real photographs, a real gateway and a real Triton."""

import csv
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from gateway.keys import add_key
from tests.e2e.browser import Card, Page, chromium
from tests.e2e.conftest import Gateway, is_ready, running_gateway, start_gateway, stop_gateway
from tests.photos import DATA, photos
from tests.servers import Running
from tests.waiting import wait_until

PHOTOS = photos()
PATHS = [photo.path for photo in PHOTOS]
LABELS = [photo.label for photo in PHOTOS]
NO_PICTURE = DATA / "odd_images/text.jpg"
KEY_RATE = 0.001  # requests a second: the second one is refused, however slow this machine is
PAUSE = 1000  # seconds, that it asks for
MEGABYTE = 1 << 20
READABLE = 4.5  # the contrast that WCAG asks of text


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def page(browser: webdriver.Chrome, gateway_url: str) -> Iterator[Page]:
    """The page, ready; afterwards it must have asked no other host and complained of nothing."""
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


# The first list of models names one more.
WITH_A_MODEL_THAT_GOES = """
const real = fetch;
let first = true;
window.fetch = async (address, ...more) => {
  const answer = await real(address, ...more);
  if (!first || !String(address).includes("v1/models")) {
    return answer;
  }
  first = false;
  const body = await answer.json();
  body.models.push({ ...body.models[0], name: "gone", default: false });
  return Response.json(body);
};
"""


# Someone is quicker than the page's script.
WITH_A_QUICK_CHOICE = """
const watch = new MutationObserver(() => {
  const chooser = document.getElementById("chooser");
  if (!chooser) {
    return;
  }
  watch.disconnect();
  const chosen = new DataTransfer();
  chosen.items.add(new File(["no picture"], "early.jpg"));
  chooser.files = chosen.files;
});
watch.observe(document, { childList: true, subtree: true });
"""


def best(cards: list[Card]) -> list[str]:
    return [card.labels[0] for card in cards if card.labels]


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


def test_a_file_name_is_text_and_nothing_else(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=alert(1)>&amp;.jpg"
    shutil.copy(PATHS[0], path)
    [card] = page.classify([path])
    assert card.name == path.name
    assert card.labels[0] == LABELS[0]
    assert len(page.driver.find_elements(By.CSS_SELECTOR, ".card img")) == 1


READS_RIGHTWARDS = """
const said = document.getElementById('status').lastChild;
const left = at => {
  const range = document.createRange();
  range.setStart(said, at);
  range.setEnd(said, at + 1);
  return range.getBoundingClientRect().left;
};
return [...said.data].every((_, at) => !at || left(at - 1) < left(at))
"""


def test_a_name_written_from_right_to_left_turns_nothing_else_round(
    page: Page, tmp_path: Path
) -> None:
    path = tmp_path / "photo\u202egpj.jpg"  # what follows the sign is read from right to left
    shutil.copy(PATHS[2], path)
    page.classify([path])
    assert page.text("status").endswith(f"{path.name}: koala, {page.cards()[0].percents[0]}.")
    assert page.driver.execute_script(READS_RIGHTWARDS)


def test_dropped_files_are_classified(page: Page) -> None:
    page.drop(PATHS[2:4])
    page.wait(lambda: len(page.cards()) == 2, "the pictures are shown")
    assert best(page.classify()) == LABELS[2:4]


def test_the_pictures_in_dropped_folders_are_classified(page: Page, tmp_path: Path) -> None:
    deep = tmp_path / "folder" / "deeper"
    deep.mkdir(parents=True)
    for path, directory in ((PATHS[2], deep.parent), (PATHS[3], deep)):
        shutil.copy(path, directory)
    (deep / "notes.txt").write_text("no picture")
    page.drop([deep.parent, PATHS[4]])
    page.wait(lambda: len(page.cards()) == 3, "the pictures are shown")
    assert sorted(best(page.classify())) == sorted(LABELS[2:5])
    (tmp_path / "empty").mkdir()
    page.drop([tmp_path / "empty"])
    page.wait(lambda: "no picture in this folder" in page.text("status"), "it says why")


def test_what_is_chosen_before_the_script_has_come_is_shown(page: Page) -> None:
    script = page.cdp("Page.addScriptToEvaluateOnNewDocument", source=WITH_A_QUICK_CHOICE)
    page.open_ready()
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", **script)
    assert [card.name for card in page.cards()] == ["early.jpg"]


def test_pictures_of_the_same_name_can_be_told_apart(page: Page) -> None:
    page.add([PATHS[0]])
    page.add([PATHS[0]])
    assert [card.name for card in page.cards()] == [PATHS[0].name, f"{PATHS[0].name} (2)"]


def test_what_is_no_file_is_not_dropped_in_silence(page: Page) -> None:
    page.drop_text("https://example.org/photo.jpg")
    page.wait(lambda: "Only picture files" in page.text("status"), "it says why")
    assert page.cards() == []


def test_a_pasted_picture_is_classified(page: Page, tmp_path: Path) -> None:
    png = tmp_path / "panda.png"
    with Image.open(PATHS[5]) as jpeg:
        jpeg.save(png)
    page.copy_picture(png.read_bytes())
    page.paste()
    page.wait(lambda: len(page.cards()) == 1, "the picture is shown")
    assert best(page.classify()) == LABELS[5:6]


def test_the_keyboard_is_enough(page: Page) -> None:
    page.cdp("Page.setInterceptFileChooserDialog", enabled=True)
    page.tab_to("chooser")
    script = "return getComputedStyle(document.querySelector('.finder')).outlineStyle"
    assert page.driver.execute_script(script) == "solid"
    page.press(Keys.SPACE)
    opened = page.next_event("Page.fileChooserOpened")
    page.cdp("Page.setInterceptFileChooserDialog", enabled=False)
    assert opened["mode"] == "selectMultiple"
    files = [str(path) for path in PATHS[:2]]
    page.cdp("DOM.setFileInputFiles", files=files, backendNodeId=opened["backendNodeId"])
    page.wait(lambda: len(page.cards()) == 2, "the pictures are shown")
    page.tab_to("submit")
    page.press(Keys.ENTER)
    assert best(page.finished()) == LABELS[:2]
    page.tab_to("remove")
    page.press(Keys.SPACE)
    assert [card.name for card in page.cards()] == [PATHS[1].name]
    assert page.driver.execute_script("return document.activeElement.className") == "remove"


def test_enter_without_a_picture_says_what_is_missing(page: Page) -> None:
    page.tab_to("submit")
    page.press(Keys.ENTER)
    assert page.text("status") == "Choose a picture first."


def test_screen_readers_are_told_everything(page: Page) -> None:
    page.classify([PATHS[2], NO_PICTURE])
    nodes = page.accessible()
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}
    for expected in (
        ("heading", "What is in the picture?"),
        ("button", "Choose pictures"),
        ("combobox", "Choose a model"),
        ("button", "Classify"),
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


def test_the_page_says_which_model_answers(page: Page) -> None:
    assert (
        page.text("model-line")
        == "efficientnet_lite0 version 1 · imagenet weights · f32 · openvino"
    )
    assert not page.element("model-note").is_displayed()  # this one was chosen by MODEL
    assert not page.element("model-warning").is_displayed()
    [card] = page.classify(PATHS[:1])
    assert "efficientnet_lite0 version 1" in card.text


def test_the_page_says_which_model_is_stood_in_for(
    browser: webdriver.Chrome, triton: Running
) -> None:
    with running_gateway(triton, MODEL="") as gateway:
        for page in checked(Page(browser, gateway.url)):
            assert page.text("model-line").startswith("efficientnet_lite0 ")
            assert page.text("model-note").startswith("Stands in for vgg16, ")
            Select(page.element("model")).select_by_value("vgg16")
            assert not page.element("model-note").is_displayed()


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


def test_random_weights_are_warned_of(page: Page) -> None:
    Select(page.element("model")).select_by_value("vgg16")
    assert "random weights" in page.text("model-warning")
    [card] = page.classify(PATHS[:1])
    assert "vgg16 version 1 · random weights: these labels mean nothing" in card.text
    assert page.requests("POST") == [f"{page.url}/v1/classify?model=vgg16"]


def test_the_same_pictures_can_be_shown_to_another_model(page: Page) -> None:
    page.classify(PATHS[:2])
    Select(page.element("model")).select_by_value("vgg16")
    assert page.text("submit") == "Classify 2 pictures with vgg16"
    assert all("vgg16 version 1" in card.text for card in page.classify())
    Select(page.element("model")).select_by_value("efficientnet_lite0")
    assert best(page.classify()) == LABELS[:2]
    page.element("submit").click()
    assert page.text("status") == "Nothing new to classify."


def test_a_model_that_is_served_no_longer_leaves_the_list(page: Page) -> None:
    script = page.cdp("Page.addScriptToEvaluateOnNewDocument", source=WITH_A_MODEL_THAT_GOES)
    page.open_ready()
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", **script)
    Select(page.element("model")).select_by_value("gone")
    [card] = page.classify(PATHS[:1])
    assert "No such model is loaded" in card.text
    page.wait(lambda: "gone" not in page.text("model"), "the list is fetched again")
    page.retry(PATHS[0].name).click()
    assert best(page.finished()) == LABELS[:1]
    [complaint] = page.errors()  # the browser's own, about the status
    assert "404" in complaint


def test_the_page_waits_for_a_busy_server(browser: webdriver.Chrome, triton: Running) -> None:
    with running_gateway(triton, CLIENT_RATE="0.2") as gateway:
        page = Page(browser, gateway.url)
        page.open_ready()
        assert best(page.classify([*PATHS, *PATHS])) == LABELS * 2
        assert any("status of 429" in entry for entry in page.errors())


def test_what_is_shown_can_be_kept_as_a_table(page: Page, tmp_path: Path) -> None:
    named = tmp_path / 'odd "name", really.jpg'
    named.write_bytes(PATHS[2].read_bytes())
    page.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.classify([named, NO_PICTURE])
    page.element("save").click()
    kept = tmp_path / "edgelens.csv"
    page.wait(lambda: kept.exists() and kept.stat().st_size, "the table is written")
    rows = list(csv.DictReader(kept.read_text(encoding="utf-8-sig").splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5", ""]
    assert (rows[0]["file"], rows[0]["label"]) == (named.name, "koala")
    assert float(rows[0]["probability"]) > 0.5
    assert rows[5]["file"] == NO_PICTURE.name
    assert "not a picture" in rows[5]["error"]


def test_a_guess_does_not_look_like_knowledge(page: Page, tmp_path: Path) -> None:
    dull = tmp_path / "dull.png"
    Image.new("RGB", (1, 1), "red").save(dull)
    sure, unsure = page.classify([PATHS[2], dull])
    assert "Not sure" not in sure.text
    assert "Not sure. It looks most like this:" in unsure.text


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


def test_pictures_can_be_removed(page: Page) -> None:
    page.add(PATHS[:3])
    page.button(f"Remove {PATHS[1].name}").click()
    assert [card.name for card in page.cards()] == [PATHS[0].name, PATHS[2].name]
    assert best(page.classify()) == [LABELS[0], LABELS[2]]
    page.element("clear").click()
    assert page.cards() == []


def test_the_keyboard_keeps_its_place_beside_a_picture_that_runs(page: Page) -> None:
    page.throttle(2000)
    page.add(PATHS[:9])  # one more than a request takes
    page.element("submit").click()
    page.wait(lambda: page.requests("POST"), "the request is under way")
    page.button(f"Remove {PATHS[8].name}").send_keys(Keys.ENTER)
    assert [card.state for card in page.cards()] == ["running"] * 8
    focused = page.driver.switch_to.active_element
    assert focused.find_element(By.CLASS_NAME, "name").text == PATHS[7].name
    assert focused.get_attribute("class") == "card"
    page.element("cancel").click()
    page.wait(lambda: page.text("status").startswith("Cancelled"), "the run has ended")


def test_removed_pictures_leave_the_memory(page: Page) -> None:
    page.add(PATHS[:2])
    cards = "window.kept = [...document.querySelectorAll('.card')].map(card => new WeakRef(card))"
    page.driver.execute_script(cards)
    page.element("submit").click()
    page.wait(lambda: "2 pictures classified." in page.text("status"), "both have their labels")
    page.element("clear").click()

    def are_gone() -> bool:
        page.cdp("HeapProfiler.collectGarbage")
        gone: bool = page.driver.execute_script("return kept.every(card => !card.deref())")
        return gone

    page.wait(are_gone, "nothing refers to the cards any more")


@pytest.fixture
def locked(
    browser: webdriver.Chrome, triton: Running, tmp_path: Path
) -> Iterator[tuple[Page, Gateway, str]]:
    """A page whose gateway asks for a key, and the key, which allows hardly any request."""
    file = tmp_path / "keys"
    key = add_key(file, "tester", KEY_RATE)
    gateway = start_gateway(triton, API_KEYS_FILE=str(file))
    try:
        wait_until(lambda: is_ready(gateway.url), "the gateway is ready", 60)
        yield Page(browser, gateway.url), gateway, key
    finally:
        stop_gateway(gateway)


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
    assert cards[8].state == "failed"  # for the server asks for more patience than the page has
    assert f"At most {KEY_RATE} requests a second." in cards[8].text
    retry = page.retry(PATHS[8].name)
    assert retry.text.startswith("Try again in ")
    assert str(retry.get_attribute("aria-label")).startswith("Try again in ")
    assert not retry.is_enabled()
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
    """Put the page's clock forward, and let the gateway accept the next request."""
    keys.write_text(keys.read_text().replace(f":{KEY_RATE:g}", ":1000"))
    page.driver.execute_script(
        "const now = Date.now; Date.now = () => now() + arguments[0]", 1000 * PAUSE
    )


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
    script = "return [document.documentElement.scrollWidth, innerWidth]"
    assert page.driver.execute_script(script) == [360, 360]


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


def luminance(colour: str) -> float:
    """Return WCAG's relative luminance of `rgb(r, g, b)`."""
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def open_docs(page: Page) -> None:
    page.open("/docs")
    page.wait(
        lambda: page.driver.find_elements(By.CSS_SELECTOR, "article[data-path]"),
        "the documentation is drawn",
    )


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
        assert f"{page.url}{path}" in text
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
