"""The settings."""

from dataclasses import fields
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.setting import SettingError
from gateway.shares import Shares


def test_defaults_are_those_of_make_serve() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert settings.triton_url == "127.0.0.1:8001"
    assert settings.max_upload_bytes == 20 * 1024 * 1024


def test_every_setting_can_be_given() -> None:
    given = {
        "HOST": "0.0.0.0",
        "PORT": " 65535 ",
        "TRITON_URL": "triton:9001",
        "TRITON_METRICS_URL": "http://triton:9002/metrics",
        "MODEL": "vgg16",
        "MAX_UPLOAD_BYTES": "1024",
        "MAX_BODY_BYTES": "2048",
        "MAX_PIXELS": "1",
        "MAX_PICTURES": "1",
        "DEADLINE_SECONDS": "2.5",
        "THREADS": "1",
        "GRACE_SECONDS": "0",
        "VERSION_SHARES": "vgg16=1:90,2:10",
        "API_KEYS_FILE": "/run/keys",
        "CLIENT_RATE": "0.5",
        "CORS_ORIGINS": "https://a.example, https://b.example/,",
        "TRUSTED_PROXY": "*",
    }
    assert Settings.from_env(given) == Settings(
        host="0.0.0.0",
        port=65535,
        triton_url="triton:9001",
        triton_metrics_url="http://triton:9002/metrics",
        model="vgg16",
        max_upload_bytes=1024,
        max_body_bytes=2048,
        max_pixels=1,
        max_pictures=1,
        deadline_seconds=2.5,
        threads=1,
        grace_seconds=0,
        version_shares={"vgg16": Shares({"1": 90, "2": 10})},
        api_keys_file=Path("/run/keys"),
        client_rate=0.5,
        cors_origins=("https://a.example", "https://b.example"),
        trusted_proxy="*",
    )
    assert given.keys() == {entry.name.upper() for entry in fields(Settings)}


def test_a_setting_of_spaces_is_not_given() -> None:
    assert Settings.from_env({"PORT": " ", "MODEL": " "}) == Settings()


def test_addresses_of_version_6_are_taken() -> None:
    settings = Settings.from_env(
        {
            "HOST": "[::1]",
            "TRITON_URL": "[::1]:8001",
            "TRITON_METRICS_URL": "http://[::1]:8002/metrics",
        }
    )
    assert settings.host == "::1"
    assert settings.triton_url == "[::1]:8001"
    assert settings.triton_metrics_url == "http://[::1]:8002/metrics"


@pytest.mark.parametrize(
    ("text", "origin"), [("https://A.Example/", "https://a.example"), ("*", "*")]
)
def test_origins_are_compared_as_browsers_send_them(text: str, origin: str) -> None:
    assert Settings.from_env({"CORS_ORIGINS": text}).cors_origins == (origin,)


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({"MAX_UPLOAD_BYTES": str(100 << 20)}, 200 << 20),
        ({"MAX_UPLOAD_BYTES": str(1 << 20)}, 64 << 20),
        ({"MAX_UPLOAD_BYTES": str(100 << 20), "MAX_BODY_BYTES": str(150 << 20)}, 150 << 20),
    ],
    ids=["larger", "smaller", "both"],
)
def test_only_a_larger_picture_limit_alone_raises_the_body_limit(
    given: dict[str, str], body: int
) -> None:
    assert Settings.from_env(given).max_body_bytes == body


def test_what_is_admitted_has_its_deadline_even_at_the_end() -> None:
    assert Settings().grace_seconds == Settings.from_env({}).grace_seconds == 12
    assert Settings.from_env({"DEADLINE_SECONDS": "30"}).grace_seconds == 32
    assert Settings.from_env({"DEADLINE_SECONDS": "30", "GRACE_SECONDS": "5"}).grace_seconds == 5


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("TRITON_URL", "http://127.0.0.1:8001"),
        ("TRITON_URL", "127.0.0.1:99999"),
        ("TRITON_URL", "127.0.0.1:0"),
        ("TRITON_URL", "127.0.0.1:" + "1" * 5000),
        ("TRITON_URL", "127.0.0.1"),
        ("TRITON_URL", "127.0.0.1:8001/"),
        ("TRITON_URL", "[zz]:8001"),
        ("TRITON_METRICS_URL", "127.0.0.1:8002"),
        ("TRITON_METRICS_URL", "http://127.0.0.1:abc/metrics"),
        ("TRITON_METRICS_URL", "http://[::1/metrics"),
        ("TRITON_METRICS_URL", "http://127.0.0.1:8002/the metrics"),
        ("MODEL", "/etc"),
        ("MODEL", "vgg16\nresnet50"),
        ("MODEL", "v" * 5000),
        ("HOST", "*"),
        ("HOST", "127.0.0.1:5000"),
        ("HOST", "a..b"),
        ("MAX_UPLOAD_BYTES", "20M"),
        ("MAX_PICTURES", "1001"),
        ("DEADLINE_SECONDS", "nan"),
        ("DEADLINE_SECONDS", "0"),
        ("DEADLINE_SECONDS", "601"),
        ("THREADS", "0"),
        ("THREADS", "257"),
        ("CLIENT_RATE", "-1"),
        ("VERSION_SHARES", "vgg16=1:x"),
        ("VERSION_SHARES", "vgg16=1:90;vgg16=2:10"),
        ("CORS_ORIGINS", "example.org"),
        ("CORS_ORIGINS", "http://*.example.org"),
        ("CORS_ORIGINS", "https://example.org:https"),
        ("CORS_ORIGINS", "https://example.org/page"),
        ("API_KEYS_FILE", "~nobody-of-this-name/keys"),
        ("TRUSTED_PROXY", "10.0.0.0/8"),
        ("TRUSTED_PROXY", "balancer"),
    ],
)
def test_a_bad_value_is_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.from_env({variable: text})
    assert str(refused.value).startswith(f"{variable}={text!r} cannot be used: give ")
