"""The launcher's settings from the environment."""

import socket
from pathlib import Path

import pytest

from gateway.setting import SettingError
from inference.settings import HOME, Settings


def test_defaults_are_loopback_and_the_projects_repository() -> None:
    settings = Settings.from_env({})
    assert settings.repository == HOME / "model_repository"
    assert settings.runtime_dir == HOME / ".cache" / "run"
    assert settings.host == "127.0.0.1"
    ports = (settings.http_port, settings.grpc_port, settings.metrics_port, settings.health_port)
    assert ports == (8000, 8001, 8002, 8003)
    assert settings.cache_bytes == 64 << 20
    assert settings.ready_file is None


def test_environment_is_read() -> None:
    settings = Settings.from_env(
        {
            "MODEL_REPOSITORY": "/models",
            "TRITON_HTTP_PORT": "0",
            "TRITON_CACHE_BYTES": "0",
            "TRITON_ADMIN_KEY": "secret-key",
            "TRITON_READY_FILE": "/tmp/ready.json",
            "TRITON_MODEL_CONFIG_NAME": "edge",
        }
    )
    assert settings.repository == Path("/models")
    assert (settings.http_port, settings.cache_bytes) == (0, 0)
    assert settings.admin_key == "secret-key"
    assert settings.ready_file == Path("/tmp/ready.json")
    assert settings.model_config_name == "edge"


def test_spaces_around_a_value_do_not_count() -> None:
    settings = Settings.from_env(
        {"MODEL_REPOSITORY": " ", "TRITON_HTTP_PORT": " 9000\n", "TRITON_HOST": " [::1] "}
    )
    assert settings.repository == HOME / "model_repository"
    assert (settings.http_port, settings.host) == (9000, "::1")


@pytest.mark.parametrize(
    ("host", "name"), [("box-1.lan", "box-1.lan"), ("..edge/box_1 ü", "edge_box_1__")]
)
def test_configurations_are_those_of_this_host_unless_others_or_none_are_named(
    host: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert Settings.from_env({}).model_config_name == name
    assert Settings.from_env({"TRITON_MODEL_CONFIG_NAME": ""}).model_config_name == name
    assert Settings.from_env({"TRITON_MODEL_CONFIG_NAME": "none"}).model_config_name == ""


def test_argument_wins_over_the_environment() -> None:
    settings = Settings.from_env({"MODEL_REPOSITORY": "/models"}, Path("/others"))
    assert settings.repository == Path("/others")


def test_relative_path_starts_where_the_command_was_given(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"MODEL_REPOSITORY": "m"}).repository == tmp_path / "m"


def test_every_start_has_another_key() -> None:
    keys = {Settings.from_env({}).admin_key for _ in range(3)}
    assert len(keys) == 3
    assert all(len(key) >= 24 for key in keys)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRITON_HTTP_PORT", "65536"),
        ("TRITON_GRPC_PORT", "-1"),
        ("TRITON_METRICS_PORT", "8002.0"),
        ("TRITON_HEALTH_PORT", "²"),
        ("TRITON_HEALTH_PORT", "8" * 5000),
        ("TRITON_HOST", "*"),
        ("TRITON_HOST", "a..b"),
        ("TRITON_HOST", "127.0.0.1:8000"),
        ("TRITON_CACHE_BYTES", "64MB"),
        ("TRITON_CACHE_BYTES", "1000"),
        ("TRITON_CACHE_BYTES", str(1 << 40)),
        ("TRITON_MODEL_CONFIG_NAME", "../box"),
        ("TRITON_MODEL_CONFIG_NAME", "a\nb"),
        ("TRITON_MODEL_CONFIG_NAME", "b" * 5000),
        ("TRITON_PROBE_PERIOD", "0"),
        ("TRITON_PROBE_TIMEOUT", "nan"),
        ("TRITON_START_TIMEOUT", "soon"),
        ("TRITON_ADMIN_KEY", "short"),
        ("TRITON_ADMIN_KEY", "has,a comma=and more"),
        ("MODEL_REPOSITORY", "~nobody-of-this-name/models"),
        ("EDGELENS_CACHE_DIR", "~nobody-of-this-name/cache"),
        ("EDGELENS_RUNTIME_DIR", "~nobody-of-this-name/run"),
    ],
)
def test_bad_value_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.from_env({name: value})


@pytest.mark.parametrize(
    ("host", "reachable"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.7", "10.0.0.7")],
)
def test_launcher_reaches_triton_where_it_listens(host: str, reachable: str) -> None:
    assert Settings.from_env({"TRITON_HOST": host}).reachable_host == reachable
