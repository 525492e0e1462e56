"""Settings: each has a name, a default, a unit and a meaning, and nonsense is refused."""

import dataclasses
from pathlib import Path

import pytest

from api.server.config import (
    ConfigError,
    ServerConfig,
    describe_settings,
    load_config,
    parse_config,
)


def test_every_setting_is_described(tmp_path: Path) -> None:
    settings = list(describe_settings(ServerConfig(directory=tmp_path)))
    names = [field.name for field in dataclasses.fields(ServerConfig) if field.name != "directory"]
    assert [setting.name for setting in settings] == names
    for setting in settings:
        assert setting.help.endswith(".")
        assert setting.unit
        assert setting.value == setting.default
        for suffix, unit in (("_s", "seconds"), ("_bytes", "bytes"), ("_days", "days")):
            assert setting.name.endswith(suffix) == (setting.unit == unit)


def test_what_is_not_given_has_its_default(tmp_path: Path) -> None:
    config = parse_config('name = "Linkage"\nlease_s = 5\nhosts = ["A.example"]\n', tmp_path)
    assert (config.name, config.lease_s, config.hosts) == ("Linkage", 5.0, ("a.example",))
    assert config.threads == ServerConfig(directory=tmp_path).threads


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        "unknown = 1",
        "directory = '/etc'",
        "name = 5",
        "name = ''",
        "threads = 0",
        "threads = 1.5",
        "threads = true",
        "threads = '4'",
        "lease_s = 0",
        "lease_s = nan",
        "hosts = 'a.example'",
        "hosts = [1]",
        "[threads]\na = 1",
    ],
)
def test_what_makes_no_sense(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        parse_config(text, tmp_path)


def test_a_folder_that_is_no_servers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="server init"):
        load_config(tmp_path)
    (tmp_path / "server.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path)


def test_settings_cannot_be_changed_at_run_time(tmp_path: Path) -> None:
    config = ServerConfig(directory=tmp_path)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.threads = 1  # type: ignore[misc]
