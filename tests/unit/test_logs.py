from __future__ import annotations

import json
import logging

import pytest

from media_server import logs


@pytest.fixture(autouse=True)
def restore() -> object:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before[0], before[1]


def test_json_has_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    logs.event(logging.getLogger("x"), "user.transcript", call="call-1", text="hello\nthere", message="m")
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields["call"] == "call-1"
    assert fields["text"] == "hello\nthere"
    assert fields["level"] == "info"


def test_people_get_key_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("human", "info")
    logs.event(logging.getLogger("x"), "turn.ended", call="call-1", probability=1.0)
    assert "turn.ended  call='call-1' probability=1.0" in capsys.readouterr().err


def test_a_traceback_is_part_of_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    try:
        raise ValueError("boo")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: boo" in json.loads(line)["exception"]
