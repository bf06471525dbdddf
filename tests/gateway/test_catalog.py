"""The models that can be asked."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from tritonclient.grpc.model_config_pb2 import TYPE_STRING

from gateway.catalog import FORGET_SECONDS, REMEMBER_SECONDS, Catalog
from gateway.errors import ModelNotReady, TritonUnavailable, UnknownModel
from gateway.scrape import Loaded
from gateway.shares import Shares
from tests.gateway.clock import Clock
from tests.gateway.stub import StubTriton, model_config
from tests.waiting import wait_until


class FlakyTriton(StubTriton):
    """A Triton whose metrics or configurations cannot be had."""

    unready: frozenset[str] | set[str] = frozenset()
    metrics_away = False
    configs_away = False
    info: Mapping[tuple[str, str], dict[str, str]] = {}
    slow = ""  # the model whose configuration waits for `go_on`
    asked: threading.Event
    go_on: threading.Event

    def loaded(self) -> Loaded:
        if self.metrics_away:
            raise TritonUnavailable("away")
        return replace(super().loaded(), info=self.info)

    def config(self, name: str, version: str) -> object:
        if self.configs_away:
            raise TritonUnavailable("away")
        if name == self.slow:
            self.asked.set()
            assert self.go_on.wait(20)
        if version in self.unready:
            raise ModelNotReady("not at ready state")
        return super().config(name, version or "1")


@pytest.fixture
def triton() -> FlakyTriton:
    return FlakyTriton()


def test_the_newest_version_is_found_by_number(triton: FlakyTriton) -> None:
    for version in ("9", "10"):
        triton.configs["colours", version] = model_config("colours")
    catalog = Catalog(triton)
    catalog.refresh()
    assert catalog.find("colours").version == "10"
    assert catalog.find("colours", "9").version == "9"
    with pytest.raises(UnknownModel):
        catalog.find("colours", "11")


def test_only_classifiers_are_listed(triton: FlakyTriton) -> None:
    decode = triton.configs["colours_decode", "1"] = model_config("colours_decode")
    decode.input[0].data_type = TYPE_STRING
    triton.configs["tabular", "1"] = model_config("tabular")
    del triton.configs["tabular", "1"].parameters["width"]
    triton.configs["broken", "1"] = model_config("broken", width="wide")
    catalog = Catalog(triton)
    catalog.refresh()
    assert list(catalog.models()) == ["colours"]


@pytest.mark.parametrize("name", ["satellite_image", "morse_decode"])
def test_a_classifier_with_the_name_of_a_companion_is_told_why_it_is_not_served(
    triton: FlakyTriton, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    triton.configs[name, "1"] = model_config(name)
    catalog = Catalog(triton)
    catalog.refresh()
    with pytest.raises(UnknownModel, match=r"cannot be used here\. .* give it another name"):
        catalog.find(name)
    assert f"only Triton serves the model {name}: " in caplog.text


def test_a_broken_contract_is_told_once(
    triton: FlakyTriton, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog(triton)
    for width in ("wide", "wide", "wider", "224", "wider"):
        triton.configs["broken", "1"] = model_config("broken", width=width)
        for triton.metrics_away in (False, True):
            catalog.refresh()
    assert (
        len([line for line in caplog.messages if "only Triton serves the model broken" in line])
        == 3
    )


def test_who_asks_for_a_model_without_a_contract_learns_what_it_lacks(triton: FlakyTriton) -> None:
    triton.configs["foreign", "1"] = model_config("foreign")
    del triton.configs["foreign", "1"].parameters["width"]
    catalog = Catalog(triton)
    catalog.refresh()
    with pytest.raises(UnknownModel, match="lacks the parameter width"):
        catalog.find("foreign")
    del triton.configs["foreign", "1"]
    catalog.refresh()
    with pytest.raises(UnknownModel, match="No such model"):
        catalog.find("foreign")


@pytest.mark.parametrize("others", [True, False], ids=["among others", "alone"])
def test_a_model_without_a_contract_is_not_said_to_be_on_its_way(
    triton: FlakyTriton, others: bool
) -> None:
    if not others:
        triton.configs.clear()
    triton.configs["foreign", "1"] = model_config("foreign", width="wide")
    for default, kind in (("", UnknownModel), ("foreign", ModelNotReady)):
        catalog = Catalog(triton, default)
        catalog.refresh()
        with pytest.raises(kind, match=r"is loaded, but cannot be used here.*width"):
            catalog.find("foreign")


def test_where_the_only_model_lacks_a_contract_that_is_said_to_who_names_none(
    triton: FlakyTriton,
) -> None:
    triton.configs = {("foreign", "1"): model_config("foreign", width="wide")}
    catalog = Catalog(triton)
    catalog.refresh()
    with pytest.raises(TritonUnavailable, match=r"foreign is loaded, but cannot be used here.*wid"):
        catalog.default()
    triton.configs.clear()
    catalog.refresh()
    with pytest.raises(TritonUnavailable, match="No model is loaded yet"):
        catalog.default()


class Asked(str):
    """A model's name that does something while it is compared with another model's."""

    meanwhile: Callable[[], object]
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        if other:
            self.meanwhile()
        return str.__eq__(self, other)


def test_what_models_lack_may_be_learnt_while_somebody_is_told(triton: FlakyTriton) -> None:
    catalog = Catalog(triton)
    triton.configs["broken", "1"] = model_config("broken", width="wide")
    catalog.refresh()
    triton.configs["other", "1"] = model_config("other", width="wide")
    triton.slow, triton.asked, triton.go_on = "other", threading.Event(), threading.Event()
    refreshing = threading.Thread(target=catalog.refresh)
    refreshing.start()
    assert triton.asked.wait(20)
    name = Asked("unheard-of")
    name.meanwhile = lambda: triton.go_on.set() or refreshing.join(20)
    with pytest.raises(UnknownModel, match="No such model"):
        catalog.find(name)
    assert not refreshing.is_alive()


def test_nothing_is_said_of_a_model_while_triton_is_away(triton: FlakyTriton) -> None:
    catalog = Catalog(triton, "vgg16")
    triton.metrics_away = triton.configs_away = True
    catalog.refresh()
    with pytest.raises(TritonUnavailable, match="metrics cannot be reached"):
        catalog.find("vgg16")


def test_a_model_that_vanishes_is_being_loaded_and_later_unknown(triton: FlakyTriton) -> None:
    clock = Clock()
    triton.configs["other", "1"] = model_config("other")
    catalog = Catalog(triton, clock=clock)
    catalog.refresh()
    del triton.configs["other", "1"]
    catalog.refresh()
    with pytest.raises(TritonUnavailable):
        catalog.find("other")
    clock.now += 31
    with pytest.raises(UnknownModel):
        catalog.find("other")


def test_the_wanted_default_is_never_unknown(triton: FlakyTriton) -> None:
    catalog = Catalog(triton, "vgg16")
    catalog.refresh()
    assert catalog.default() == "vgg16"
    with pytest.raises(TritonUnavailable):
        catalog.find("vgg16")


def test_the_wanted_default_that_vanished_is_being_loaded_and_later_missed(
    triton: FlakyTriton,
) -> None:
    clock = Clock()
    triton.configs["other", "1"] = model_config("other")
    catalog = Catalog(triton, "colours", clock)
    catalog.refresh()
    del triton.configs["colours", "1"]
    catalog.refresh()
    with pytest.raises(ModelNotReady, match="is being loaded"):
        catalog.find("colours")
    clock.now += 31
    with pytest.raises(ModelNotReady, match=r"MODEL names colours.*use one of: other"):
        catalog.find("colours")


@pytest.mark.parametrize("name", ["vgg16", "another"])
def test_while_nothing_is_loaded_any_model_may_be_on_its_way(
    triton: FlakyTriton, name: str
) -> None:
    triton.configs.clear()
    catalog = Catalog(triton, "vgg16")
    catalog.refresh()
    with pytest.raises(ModelNotReady, match="is being loaded"):
        catalog.find(name)


def test_without_any_model_there_is_no_default(triton: FlakyTriton) -> None:
    triton.configs.clear()
    catalog = Catalog(triton)
    catalog.refresh()
    with pytest.raises(TritonUnavailable):
        catalog.default()


def test_what_was_known_is_kept_while_triton_is_away(triton: FlakyTriton) -> None:
    catalog = Catalog(triton)
    catalog.refresh()
    assert not catalog.is_away
    triton.metrics_away = triton.configs_away = True
    catalog.refresh()
    assert catalog.is_away
    assert catalog.find("colours").version == "1"


@pytest.mark.parametrize("default", ["", "colours"])
def test_what_a_version_runs_with_is_kept_while_only_the_metrics_are_away(
    triton: FlakyTriton, default: str
) -> None:
    triton.info = {("colours", "1"): {"engine": "openvino", "precision": "int8"}}
    triton.inferred = {("colours", "1"): 7.0, ("other", "1"): 5.0}
    catalog = Catalog(triton, default)
    for triton.metrics_away in (False, True, True):
        catalog.refresh()
        model = catalog.find("colours")
        assert (model.engine, model.precision) == ("openvino", "int8")
        assert catalog.inferred("colours") == 7


def test_a_version_is_said_to_be_missing_only_once_triton_has_told_what_it_serves(
    triton: FlakyTriton, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Catalog(triton, "colours", shares={"colours": Shares({"7": 1})})
    away, starting, serving = (True, triton.configs), (False, {}), (False, triton.configs)
    for triton.metrics_away, triton.configs in (away, starting, serving):
        assert not caplog.messages
        catalog.refresh()
    assert len(caplog.messages) == 1


def test_a_version_that_stays_refused_is_forgotten(triton: FlakyTriton) -> None:
    clock = Clock()
    triton.configs["colours", "2"] = model_config("colours")
    catalog = Catalog(triton, clock=clock)
    catalog.refresh()
    triton.unready = {"1"}
    catalog.refresh()
    assert set(catalog.models()["colours"]) == {"1", "2"}  # it may be reloading
    clock.now += FORGET_SECONDS
    catalog.refresh()
    assert set(catalog.models()["colours"]) == {"2"}
    with pytest.raises(UnknownModel):
        catalog.find("colours", "1")
    triton.unready = set()
    catalog.refresh()
    assert catalog.find("colours", "1").version == "1"


def test_a_version_that_is_refused_now_and_then_is_kept(triton: FlakyTriton) -> None:
    clock = Clock()
    catalog = Catalog(triton, clock=clock)
    for unready in (set(), {"1"}, set(), {"1"}):
        triton.unready = unready
        catalog.refresh()
        clock.now += FORGET_SECONDS - 1
    assert set(catalog.models()["colours"]) == {"1"}


def test_a_model_that_is_forgotten_is_being_loaded_for_a_while(triton: FlakyTriton) -> None:
    clock = Clock()
    catalog = Catalog(triton, clock=clock)
    catalog.refresh()
    triton.unready = {"1"}
    for _ in range(2):
        catalog.refresh()
        clock.now += FORGET_SECONDS
    assert catalog.models() == {}
    with pytest.raises(TritonUnavailable):
        catalog.find("colours", "1")


def test_versions_and_models_that_are_gone_leave_nothing_behind(triton: FlakyTriton) -> None:
    clock = Clock()
    catalog = Catalog(triton, clock=clock)
    for number in range(2, 12):
        retired = str(number)
        triton.configs["colours", retired] = model_config("colours")
        triton.configs[f"model{number}", retired] = model_config(f"model{number}")
        catalog.refresh()
        triton.unready = {retired}
        catalog.refresh()
        clock.now += REMEMBER_SECONDS
        catalog.refresh()  # forgets it
        del triton.configs["colours", retired], triton.configs[f"model{number}", retired]
        catalog.refresh()
    assert catalog.models().keys() == {"colours"}
    assert catalog.remembered() == ["colours"]
    assert not catalog._refused


def test_the_default_is_found_without_metrics(triton: FlakyTriton) -> None:
    triton.metrics_away = True
    catalog = Catalog(triton, "colours")
    catalog.refresh()
    assert catalog.find("colours").version == "1"


def test_the_missing_default_is_explained_by_what_is_away(triton: FlakyTriton) -> None:
    catalog = Catalog(triton)
    triton.metrics_away = True
    catalog.refresh()
    with pytest.raises(TritonUnavailable, match="metrics cannot be reached"):
        catalog.default()
    triton.metrics_away = False
    triton.configs.clear()
    catalog.refresh()
    with pytest.raises(TritonUnavailable, match="No model is loaded"):
        catalog.default()


def test_only_without_metrics_is_the_version_guessed(triton: FlakyTriton) -> None:
    triton.configs["colours", "1"].version_policy.specific.versions.append(9)
    catalog = Catalog(triton, "colours")
    catalog.refresh()
    assert set(catalog.models()["colours"]) == {"1"}
    triton.configs["colours", "1"].version_policy.specific.versions.append(10)
    triton.metrics_away = True
    catalog = Catalog(triton, "colours")
    catalog.refresh()
    assert set(catalog.models()["colours"]) == {"10"}


def test_what_is_missing_is_looked_for_at_once(
    triton: FlakyTriton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.catalog.REFRESH_SECONDS", 600)
    catalog = Catalog(triton)
    catalog.start()
    try:
        wait_until(lambda: catalog.models(), "the first refresh", 10)
        for name, version in (("new", "1"), ("new", "2")):
            triton.configs[name, version] = model_config(name)
            with pytest.raises(UnknownModel):
                catalog.find(name, version)
            wait_until(lambda key=(name, version): is_known(catalog, *key), "it is found", 10)
    finally:
        catalog.stop()


def is_known(catalog: Catalog, name: str, version: str) -> bool:
    return version in catalog.models().get(name, {})
