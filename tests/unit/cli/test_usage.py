"""Wrong usage is answered by one sentence that names the option and the fix."""

from __future__ import annotations

import argparse
import errno
import os
from pathlib import Path

import pytest

from media_server.cli import main, parser


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("serve --prot 1", "There is no option --prot. Did you mean --port?"),
        ("serve --zzz", "There is no option --zzz."),
        ("serv", "There is no command 'serv'. Did you mean serve?"),
        ("keys creat x", "There is no action 'creat'. Did you mean create?"),
        ("serve --port many", "--port: a port is a number from 0 to 65535, not 'many'."),
        ("serve --port 70000", "--port: a port is a number from 0 to 65535, not '70000'."),
        ("serve --device xyz", "--device is one of auto, cpu, cuda, not 'xyz'."),
        ("serve agents more", "There is no argument more."),
        ("serve --device gpu", "--device is one of auto, cpu, cuda, not 'gpu'."),
        ("serve --port", "--port: its value is missing."),
        ("--versoin", "There is no option --versoin. Did you mean --version?"),
        ("keys --verbose", "There is no option --verbose."),
        ("keys create", "Missing: name."),
        ("keys create x --credit lots", "--credit: a number is wanted, not 'lots'."),
        ("call --silence -1", "--silence: a silence is above 0 and at most 3600 seconds, not '-1'."),
        ("tokens desk --ttl nan", "--ttl: a lifetime is above 0 and at most 3600 seconds, not 'nan'."),
        ("agents --key sk_ü", "--key: a key has letters, digits, - and _, like sk_…; this one has other characters."),
        ("keys create x --per-minute 1.5", "--per-minute: a whole number is wanted, not '1.5'."),
    ],
)
def test_wrong_usage_is_explained(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(line.split())
    assert stopped.value.code == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert printed.startswith(f"media-server: {said} See: media-server")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--device", ""], "--device is one of auto, cpu, cuda, not ''."),
        (["serve", "--config", ""], "--config: its value is missing."),
        (["serve", "--config", "a" * 5000], "--config: no file has so long a name."),
        (["init", "a" * 5000], "folder: no file has so long a name."),
        (["keys", "create", "a\udcff"], r"name: 'a\udcff' is not text in UTF-8."),
        (["calls", "--agent", "a\udcff"], r"--agent: 'a\udcff' is not text in UTF-8."),
        *(
            (["agents", "--url", url], f"--url: the address of a server looks like http://127.0.0.1:8080, not {url!r}.")
            for url in ("", "localhost", "ftp://box.lan", "http://", "http://[::1", "http://a:99999", "http://a b")
        ),
    ],
    ids=lambda x: " ".join(x)[:40] if isinstance(x, list) else None,
)
def test_odd_values_are_wrong_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(words)
    assert stopped.value.code == 2
    assert f"media-server: {said} See: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--tls", "yes"], "(--tls) cannot be used: tls: this has to be auto, or the paths of"),
        (["serve", "--host", "no host"], "(--host) cannot be used: host: this has to be an address to listen on"),
        (["models", "verify", "--models-dir", "nowhere"], "--models-dir: there is no folder nowhere."),
        (["doctor", "--pack", "a" * 5000], "No file has so long a name: "),
    ],
    ids=lambda x: " ".join(x)[:40] if isinstance(x, list) else None,
)
def test_nothing_is_made_before_an_option_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0)
    try:
        with pytest.raises(SystemExit) as stopped:
            main(words)
    finally:
        os.umask(umask)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("action", ["list", "revoke x", "credit x 1", "open"])
def test_who_asks_for_keys_makes_no_database(
    action: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["keys", *action.split(), "--database", "sqlite:///none.sqlite"])
    assert "There is no database none.sqlite yet." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["keys create b", "keys open", "webhooks retry", "doctor"])
def test_a_database_that_can_only_be_read_is_said(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as made:
        main(["keys", "create", "a", "--database", f"sqlite:///{tmp_path}/x.sqlite"])
    assert made.value.code == 0
    # root may write what is read-only: SQLite itself is told
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--database", f"sqlite:///file:{tmp_path}/x.sqlite?mode=ro&uri=true"])
    assert stopped.value.code == 1
    said = capsys.readouterr()
    assert "The database cannot be written: attempt to write a readonly database. Let this user" in said.err + said.out


def test_what_init_could_not_finish_is_not_left_half_done(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "test_desk.py":
            self.touch()
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SystemExit) as stopped:
        main(["init", str(tmp_path / "mine")])
    assert stopped.value.code == 1
    assert "test_desk.py cannot be written: No space left on device." in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("line", ["", "keys", "models", "models bundle", "webhooks"])
def test_a_command_without_its_action_shows_what_there_is(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(line.split())
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(" ".join(["usage: media-server", *line.split()]))
    assert "options:" in printed.err


@pytest.mark.parametrize(
    "line",
    [
        "keys create x --per-minute 0",
        "keys create x --origin nowhere",
        "keys create x --agent no/agent",
        "keys create x --tenant no/tenant",
        "tokens desk --metadata {",
        "tokens desk --metadata []",
    ],
)
def test_a_value_that_cannot_be_is_wrong_usage(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(line.split())
    assert stopped.value.code == 2
    assert line.split()[-2] in capsys.readouterr().err


def test_every_option_says_what_it_does() -> None:
    waiting = [parser()]
    while waiting:
        each = waiting.pop()
        for action in each._actions:
            assert action.help or action.dest == argparse.SUPPRESS, f"{each.prog} {action.dest}"
            if isinstance(action, argparse._SubParsersAction):
                waiting.extend(action.choices.values())


def test_all_commands_that_ask_a_server_take_its_address_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIA_SERVER_URL", "http://box.lan:9000")
    monkeypatch.setenv("MEDIA_SERVER_KEY", "sk_x\r\n")
    for line in ("agents", "calls", "tokens desk", "call", "chat", "test specs"):
        args = parser().parse_args(line.split())
        assert (args.url, args.key) == ("http://box.lan:9000", "sk_x"), line


def test_a_wrong_address_in_the_environment_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDIA_SERVER_URL", "box.lan")
    with pytest.raises(SystemExit):
        parser().parse_args(["agents"])
    assert "not 'box.lan' (from MEDIA_SERVER_URL)." in capsys.readouterr().err
