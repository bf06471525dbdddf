"""The page in a real Chromium, with real photographs, a real gateway and a real Triton."""

import csv
import shutil
from pathlib import Path

import pytest
import requests
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.e2e.browser import Page, best
from tests.e2e.conftest import checked, running_gateway
from tests.lite import MODEL
from tests.memory import MEGABYTE
from tests.photos import DATA, photos
from tests.servers import Running

PHOTOS = photos()
PATHS = [photo.path for photo in PHOTOS]
LABELS = [photo.label for photo in PHOTOS]
NO_PICTURE = DATA / "odd_images/text.jpg"


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


def test_the_pictures_in_a_folder_are_in_the_order_of_their_names(
    page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in (7, 1, 12, 4, 10, 2):
        shutil.copy(PATHS[0], folder / f"{number}.jpg")
    page.drop([folder])
    page.wait(lambda: len(page.cards()) == 6, "the pictures are shown")
    numbers = [int(card.name.removesuffix(".jpg")) for card in page.cards()]
    assert numbers == [1, 2, 4, 7, 10, 12]


def test_an_iphones_photos_in_a_folder_are_not_left_out_in_silence(
    page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "IMG_0001.HEIC").write_bytes(bytes(4) + b"ftypheic")
    page.drop([folder])
    page.wait(lambda: len(page.cards()) == 1, "the picture is shown")
    [card] = page.classify()
    assert "This is HEIC" in card.text
    [complaint] = page.errors()  # the browser's own, about the status
    assert "415" in complaint


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


def test_pasted_text_is_refused_aloud_wherever_the_focus_is(page: Page) -> None:
    page.copy_text("no picture")
    for name in ("chooser", "submit"):
        page.tab_to(name)
        page.driver.execute_script("document.getElementById('status').textContent = ''")
        page.paste()
        page.wait(lambda: "Only pictures can be pasted" in page.text("status"), "it says why")


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
    Select(page.element("model")).select_by_value(MODEL)
    assert best(page.classify()) == LABELS[:2]
    page.element("submit").click()
    assert page.text("status") == "Nothing new to classify."


def test_labels_that_only_their_names_tell_apart_are_shown_as_they_are(page: Page) -> None:
    script = page.cdp("Page.addScriptToEvaluateOnNewDocument", source=WITH_ONE_LABEL)
    page.open_ready()
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", **script)
    [card] = page.classify(PATHS[:1])
    assert card.labels == ["thing"] * 5
    page.open_ready()


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
