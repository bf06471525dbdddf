"""A/B shares."""

import random
from collections import Counter

import pytest

from gateway.shares import Shares, SharesError, parse_version_shares
from tests.gateway.stub import Start, StubTriton, model_config


def test_versions_are_drawn_by_their_weights() -> None:
    chance = random.Random(1)
    drawn = Counter(Shares.parse("1:90,2:10").choose(None, chance) for _ in range(2000))
    assert 140 < drawn["2"] < 260
    assert drawn["1"] + drawn["2"] == 2000


def test_only_loaded_versions_are_drawn() -> None:
    shares = Shares.parse("1:90,2:10")
    assert shares.choose({"2"}, random.Random(1)) == "2"
    assert shares.choose({"3"}, random.Random(1)) == ""
    assert Shares.parse("1:90,2:0").choose({"2"}, random.Random(1)) == ""


@pytest.mark.parametrize("text", ["", "1", "1:", "1:-1", "x:1", "1:0", "1:1,1:2", "1:1;2:2"])
def test_unusable_shares_are_refused(text: str) -> None:
    with pytest.raises(SharesError):
        Shares.parse(text)


def test_as_many_versions_are_taken_as_the_api_says() -> None:
    assert len(Shares.parse(",".join(f"{n}:1" for n in range(20))).weights) == 20
    with pytest.raises(SharesError):
        Shares.parse(",".join(f"{n}:1" for n in range(21)))


def test_several_models_have_their_own_shares() -> None:
    shares = parse_version_shares("vgg16 = 1:90, 2:10; other=3:1;")
    assert shares == {"vgg16": Shares({"1": 90, "2": 10}), "other": Shares({"3": 1})}
    for nameless in ("1:90", "=1:90", " = 1:90"):
        with pytest.raises(SharesError, match="give model=version:weight"):
            parse_version_shares(nameless)


def test_configured_shares_choose_the_version(start: Start, triton: StubTriton) -> None:
    triton.configs["colours", "2"] = model_config("colours")
    gateway = start(version_shares={"colours": Shares({"1": 1, "2": 0})})
    assert {gateway.classify().get_json()["version"] for _ in range(5)} == {"1"}


def test_a_share_for_a_version_that_is_away_is_ignored(start: Start) -> None:
    gateway = start(version_shares={"colours": Shares({"7": 1})})
    assert gateway.classify().get_json()["version"] == "1"


def test_what_is_not_in_service_is_named_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    named = {"colours": Shares({"7": 1, "1": 1, "10": 1}), "color": Shares({"1": 1})}
    gateway = start(version_shares=named)
    gateway.services.catalog.refresh()
    assert sorted(record.getMessage() for record in caplog.records) == [
        "VERSION_SHARES: color has no version 1 in service",
        "VERSION_SHARES: colours has no version 7, 10 in service",
    ]
