"""The page: pictures are chosen, dropped, pasted and removed, by mouse or by keyboard."""

import shutil
from pathlib import Path

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.e2e.browser import Page, best, go_on_by_keyboard
from tests.photos import LABELS, PATHS

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

# One folder is not for everybody, as lost+found on many disks.
WITH_A_LOCKED_FOLDER = """
const real = DataTransferItem.prototype.webkitGetAsEntry;
DataTransferItem.prototype.webkitGetAsEntry = function () {
  const entry = real.call(this);
  const kind = Object.getPrototypeOf(entry);
  const { createReader } = kind;
  kind.createReader = function () {
    const readEntries = (_, refuse) => refuse(new DOMException("locked", "NotReadableError"));
    return this.name === "lost+found" ? { readEntries } : createReader.call(this);
  };
  return entry;
};
"""
# Files are dragged from one element to another, then out of the window; Safari's events do not
# say which element is entered when another one is left.
DRAGGED_AS_IN_SAFARI = """
const dataTransfer = new DataTransfer();
dataTransfer.items.add(new File(["no picture"], "photo.jpg"));
const drag = (kind, name) => document.querySelector(name).dispatchEvent(
  new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true })
);
drag("dragenter", "h1");
drag("dragover", "h1");
drag("dragenter", ".finder");
drag("dragleave", "h1");
const inside = document.body.className;
drag("dragleave", ".finder");
return [inside, document.body.className];
"""


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


def test_a_folder_that_cannot_be_read_keeps_no_other_picture_out(
    page: Page, tmp_path: Path
) -> None:
    page.open_ready(script=WITH_A_LOCKED_FOLDER)
    disk = tmp_path / "disk"
    (disk / "lost+found").mkdir(parents=True)
    shutil.copy(PATHS[0], disk)
    page.drop([disk])
    page.wait(lambda: "Cannot be read" in page.text("status"), "it says what is missing")
    assert page.text("status") == "1 picture added. Cannot be read: lost+found."
    page.drop([disk / "lost+found"])
    page.wait(lambda: "added" not in page.text("status"), "the second drop is taken")
    assert page.text("status") == "Cannot be read: lost+found."
    assert [card.name for card in page.cards()] == [f"disk/{PATHS[0].name}"]
    page.open_ready()


def test_a_picture_from_a_folder_is_named_with_it(page: Page, tmp_path: Path) -> None:
    page.resize(360, 740)
    survey = "Survey of the northern forest/The first walk to all cameras/2026-05-01 in the rain"
    names = [f"{survey}/{camera}/DCIM/100RECNX/IMG_0001.jpg" for camera in ("meadow", "wood")]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(PATHS[0], tmp_path / name)
    page.drop([tmp_path / "Survey of the northern forest"])
    page.wait(lambda: len(page.cards()) == 2, "the pictures are shown")
    assert [card.name for card in page.cards()] == names
    shown = page.driver.find_elements(By.CLASS_NAME, "name")
    assert not [e for e in shown if e.get_property("scrollHeight") > e.get_property("clientHeight")]


def test_the_pictures_in_a_folder_are_in_the_order_of_their_names(
    page: Page, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in (7, 1, 12, 4, 10, 2):
        shutil.copy(PATHS[0], folder / f"{number}.jpg")
    page.drop([folder])
    page.wait(lambda: len(page.cards()) == 6, "the pictures are shown")
    numbers = [int(Path(card.name).stem) for card in page.cards()]
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
    page.open_ready(script=WITH_A_QUICK_CHOICE)
    assert [card.name for card in page.cards()] == ["early.jpg"]


def test_pictures_of_the_same_name_can_be_told_apart(page: Page) -> None:
    page.add([PATHS[0]])
    page.add([PATHS[0]])
    assert [card.name for card in page.cards()] == [PATHS[0].name, f"{PATHS[0].name} (2)"]


def test_the_page_invites_to_drop_until_the_files_have_left_it(page: Page) -> None:
    assert page.driver.execute_script(DRAGGED_AS_IN_SAFARI) == ["dragging", ""]


def test_what_is_no_file_is_not_dropped_in_silence(page: Page) -> None:
    page.drop_text("https://example.org/photo.jpg")
    page.wait(lambda: "Only picture files" in page.text("status"), "it says why")
    assert page.cards() == []


def test_the_logo_is_no_picture_to_classify(page: Page) -> None:
    logo = page.driver.find_element(By.CLASS_NAME, "logo")
    finder = page.driver.find_element(By.CLASS_NAME, "finder")
    webdriver.ActionChains(page.driver).drag_and_drop(logo, finder).perform()
    page.drop_text("no picture")  # what is dropped is taken in turn
    page.wait(lambda: "Only picture files" in page.text("status"), "that has been dropped")
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
    go_on_by_keyboard(page)


def test_enter_without_a_picture_says_what_is_missing(page: Page) -> None:
    page.tab_to("submit")
    page.press(Keys.ENTER)
    assert page.text("status") == "Choose a picture first."


def test_pictures_can_be_removed(page: Page) -> None:
    page.add(PATHS[:3])
    page.button(f"Remove {PATHS[1].name}").click()
    assert [card.name for card in page.cards()] == [PATHS[0].name, PATHS[2].name]
    assert best(page.classify()) == [LABELS[0], LABELS[2]]
    page.element("clear").click()
    assert page.cards() == []


@pytest.mark.parametrize("width", [390, 1280])
def test_a_double_click_presses_one_button_only(page: Page, width: int) -> None:
    page.resize(width, 844)
    page.throttle(2000)
    page.add(PATHS[:12])
    submit = page.element("submit")
    right_end = submit.size["width"] // 2 - 8
    chain = webdriver.ActionChains(page.driver)
    chain.move_to_element_with_offset(submit, right_end, 0).double_click().perform()
    assert page.element("cancel").is_displayed()
    chain = webdriver.ActionChains(page.driver)
    chain.move_to_element(page.element("cancel")).double_click().perform()
    page.wait(lambda: page.text("status").startswith("Cancelled"), "the run has ended")
    assert [card.state for card in page.cards()] == ["waiting"] * 12
    assert not page.element("cancel").is_displayed()


def test_no_button_takes_the_place_of_cancel_on_a_phone_but_classify(page: Page) -> None:
    page.resize(390, 844)
    page.throttle(2000)
    page.add(PATHS[:1])
    page.element("submit").click()
    cancel = page.element("cancel").rect
    page.throttle(-1)
    page.finished()
    for name in ("save", "clear"):
        assert page.element(name).rect["y"] >= cancel["y"] + cancel["height"]


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
