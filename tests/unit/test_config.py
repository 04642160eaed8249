from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from media_server.config import Settings, Webhook, load_settings
from media_server.errors import ConfigurationError
from media_server.server import running_server


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_bind_loopback_only() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.pack) == ("127.0.0.1", 8080, "starter")
    assert settings.ice_servers == []
    settings.check_exposure(has_keys=False)


def test_options_win_over_the_environment_and_that_over_the_file(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "media_server.toml").write_text('port = 1111\npack = "one"\ndevice = "cpu"\n')
    monkeypatch.setenv("MEDIA_SERVER_PORT", "2222")
    monkeypatch.setenv("MEDIA_SERVER_PACK", "two")
    settings = load_settings(port=3333, pack=None)
    assert (settings.port, settings.pack, settings.device) == (3333, "two", "cpu")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('colour = "blue"', "colour"),
        ("port = 70000", "port"),
        ('port = "many"', "port"),
        ("port = true", "port"),
        ("drain_s = false", "drain_s"),
        *((f"{name} = inf", name) for name in ("connect_timeout_s", "idle_timeout_s", "engine_start_timeout_s")),
        ('device = "tpu"', "device"),
        ('public_addresses = ["0.0.0.0"]', "public_addresses"),
        ('public_addresses = ["203.0.113.7", "fe80::1%eth0"]', "public_addresses"),
        ('public_addresses = ["224.0.0.1"]', "public_addresses"),
        ('public_addresses = ["203.0.113.7:8081"]', "public_addresses"),
        ('[[agents]]\nname = "no spaces please"', "agents.0.name"),
        ('[[agents]]\nname = "a"\nmood = "good"', "agents.0.mood"),
        *(
            (f'[[agents]]\nname = "a"\n{key} = {value}', f"agents.0.{key}")
            for key, value in [
                ("turns", '"hasty"'),
                ("min_pause_ms", "1"),
                ("max_pause_ms", "60000"),
                ("completeness", '"maybe"'),
                ("interrupt_words", "0"),
                ("language", '"Klingon"'),
                ("hotwords", '"one"'),
                ("idle_s", "-1"),
                ("idle_hang_up_s", "1e9"),
                ("answer_timeout_s", "0"),
            ]
        ),
        ("port =", "media_server.toml"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(elsewhere: Path, text: str, names: str) -> None:
    (elsewhere / "media_server.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=names):
        load_settings()


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"no configuration file .*other\.toml"):
        load_settings(Path("other.toml"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.test"])
def test_strangers_are_let_in_only_on_purpose(host: str) -> None:
    with pytest.raises(ConfigurationError, match="--open"):
        Settings(host=host).check_exposure(has_keys=False)
    Settings(host=host, open=True).check_exposure(has_keys=False)
    Settings(host=host).check_exposure(has_keys=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_no_permission(host: str) -> None:
    Settings(host=host).check_exposure(has_keys=False)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HOST_NAMES", "box", """HOST_NAMES: this has to be a list as JSON, like ["voice.example"], not 'box'."""),
        ("WEBHOOKS", "", "MEDIA_SERVER_WEBHOOKS: this has to be a list as JSON"),
    ],
)
def test_a_variable_that_is_no_json_is_named(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"MEDIA_SERVER_{name}", value)
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        load_settings()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tls": "no.pem,no-key.pem"}, "tls: no.pem cannot be read"),
        ({"records": False, "webhooks": [Webhook(url="http://x", secret=f"whsec_{'a' * 32}")]}, "need records = true"),
        ({"host": "0.0.0.0"}, "Refusing to listen on 0.0.0.0"),
        ({"ice_servers": [{"urls": "http://x"}]}, "http://x"),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else None,
)
async def test_what_cannot_be_is_refused_before_a_file_is_made(
    elsewhere: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        async with running_server(Settings(port=0, database="sqlite:///x.sqlite", **settings)):
            pass
    assert not os.listdir(elsewhere)
