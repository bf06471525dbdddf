"""The page: which model answers, and how to choose another."""

from selenium import webdriver
from selenium.webdriver.support.ui import Select

from tests.e2e.browser import Page, best
from tests.e2e.conftest import checked, running_gateway
from tests.lite import MODEL
from tests.photos import DATA, LABELS, PATHS
from tests.servers import Running

NO_PICTURE = DATA / "odd_images/text.jpg"

# Another version than the first is deployed.
WITH_A_NEW_VERSION = """
const real = fetch;
window.version = "1";
window.fetch = async (address, ...more) => {
  const answer = await real(address, ...more);
  if (!String(address).includes("v1/classify")) {
    return answer;
  }
  return Response.json({ ...(await answer.json()), version });
};
"""
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
# Each answer names another version than the list, so the page asks for the list again; the
# second list is out of date when it is let go.
WITH_A_LATE_LIST = """
const real = fetch;
let asked = 0;
window.fetch = async (address, options) => {
  const body = await (await real(address, options)).json();
  if (String(address).includes("v1/classify")) {
    return Response.json({ ...body, version: "0" });
  }
  asked += 1;
  if (asked === 2) {
    await new Promise((resolve, reject) => {
      window.letGo = resolve;
      options.signal?.addEventListener("abort", () => reject(options.signal.reason));
    });
    body.models[0].versions = ["out of date"];
  }
  document.title = `${asked} lists`;
  return Response.json(body);
};
"""
LET_GO = """
letGo();
const turn = () => Response.json({}).json().then(() => new Promise(setTimeout));
turn().then(turn).then(arguments[0]);
"""
# While the server is away, it comes back with no model at first.
WITH_A_RESTART = """
const real = fetch;
window.isAway = false;
window.fetch = async (address, ...more) => {
  if (!isAway) {
    return real(address, ...more);
  }
  if (String(address).includes("v1/models")) {
    const answer = await real(address, ...more);
    return Response.json({ ...(await answer.json()), models: [] });
  }
  const error = { code: "unknown_model", message: "No such model is loaded." };
  return Response.json({ error }, { status: 404 });
};
"""


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


def test_a_new_version_can_be_shown_the_same_pictures(page: Page) -> None:
    page.open_ready(script=WITH_A_NEW_VERSION)
    page.classify([PATHS[0], NO_PICTURE, PATHS[1]])
    page.driver.execute_script("version = '2'")
    assert page.text("submit") == "Classify 2 pictures again"
    cards = page.classify()
    assert [card.state for card in cards] == ["done", "failed", "done"]
    assert all("efficientnet_lite0 version 2" in card.text for card in (cards[0], cards[2]))
    page.open_ready()


def test_a_model_that_is_served_no_longer_leaves_the_list(page: Page) -> None:
    page.open_ready(script=WITH_A_MODEL_THAT_GOES)
    Select(page.element("model")).select_by_value("gone")
    [card] = page.classify(PATHS[:1])
    assert "No such model is loaded" in card.text
    page.wait(lambda: "gone" not in page.text("model"), "the list is fetched again")
    page.retry(PATHS[0].name).click()
    assert best(page.finished()) == LABELS[:1]
    [complaint] = page.errors()  # the browser's own, about the status
    assert "404" in complaint


def test_no_other_model_takes_over_in_the_middle_of_a_run(page: Page) -> None:
    page.open_ready(script=WITH_A_MODEL_THAT_GOES)
    Select(page.element("model")).select_by_value("gone")
    page.add([*PATHS, *PATHS])
    page.element("submit").click()
    page.wait(lambda: page.text("status").startswith("No such model is loaded"), "the run ends")
    assert [card.state for card in page.cards()] == ["failed"] * 8 + ["waiting"] * 16
    [complaint] = page.errors()  # the browser's own, about the status
    assert "404" in complaint


def test_the_chosen_model_stays_chosen_while_the_server_restarts(page: Page) -> None:
    page.open_ready(script=WITH_A_RESTART)
    Select(page.element("model")).select_by_value("vgg16")
    page.driver.execute_script("isAway = true")
    page.classify(PATHS[:1])
    page.wait(lambda: "No model is ready" in page.text("model-line"), "the list is empty")
    page.driver.execute_script("isAway = false")
    page.wait(lambda: "version" in page.text("model-line"), "the models are there again")
    [card] = page.classify()
    assert "vgg16 version 1" in card.text
    page.open_ready()


def test_a_list_of_models_that_comes_late_does_not_replace_a_newer_one(page: Page) -> None:
    page.open_ready(script=WITH_A_LATE_LIST)
    page.classify(PATHS[:1])
    page.classify(PATHS[1:2])
    page.wait(lambda: page.driver.title == "3 lists", "the list is fetched again")
    page.driver.execute_async_script(LET_GO)
    assert "version 1 " in page.text("model-line")
    page.open_ready()
