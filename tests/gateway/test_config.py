"""The settings."""

from pathlib import Path

import pytest

from gateway.config import SettingError, Settings
from gateway.shares import Shares


def test_defaults_are_those_of_make_serve() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert settings.triton_url == "127.0.0.1:8001"
    assert settings.max_upload_bytes == 20 * 1024 * 1024


def test_every_setting_can_be_given() -> None:
    settings = Settings.from_env(
        {
            "HOST": "0.0.0.0",
            "PORT": "80",
            "TRITON_URL": "triton:9001",
            "MODEL": "vgg16",
            "DEADLINE_SECONDS": "2.5",
            "VERSION_SHARES": "vgg16=1:90,2:10",
            "API_KEYS_FILE": "/run/keys",
            "CORS_ORIGINS": "https://a.example, https://b.example/",
        }
    )
    assert settings.deadline_seconds == 2.5
    assert settings.version_shares == {"vgg16": Shares({"1": 90, "2": 10})}
    assert settings.api_keys_file == Path("/run/keys")
    assert settings.cors_origins == ("https://a.example", "https://b.example")


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


def test_origins_are_compared_as_browsers_send_them() -> None:
    assert Settings.from_env({"CORS_ORIGINS": "https://A.Example/"}).cors_origins == (
        "https://a.example",
    )


def test_a_larger_picture_limit_raises_the_body_limit() -> None:
    settings = Settings.from_env({"MAX_UPLOAD_BYTES": str(100 << 20)})
    assert settings.max_body_bytes == 200 << 20


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
        ("DEADLINE_SECONDS", "nan"),
        ("THREADS", "0"),
        ("VERSION_SHARES", "vgg16=1:x"),
        ("VERSION_SHARES", "vgg16=1:90;vgg16=2:10"),
        ("CORS_ORIGINS", "example.org"),
        ("CORS_ORIGINS", "http://*.example.org"),
        ("TRUSTED_PROXY", "10.0.0.0/8"),
        ("TRUSTED_PROXY", "balancer"),
    ],
)
def test_a_bad_value_is_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.from_env({variable: text})
    assert str(refused.value).startswith(f"{variable}={text!r} cannot be used: give ")
