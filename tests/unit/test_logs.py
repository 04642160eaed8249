from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Literal

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


def test_lines_of_one_kind_are_limited_and_the_rest_is_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "WITHIN_S", 0.2)
    logs.configure("json", "info")
    log = logging.getLogger("x")
    for i in range(1000):
        log.warning("stranger %d did something", i)
        log.error("Exception in callback <0x%x>\nhandle: %d", i, i)
    log.warning("another line")
    time.sleep(0.25)
    log.warning("stranger %d did something", 1001)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert len(lines) == 2 * logs.MOST + 2
    assert lines[-1]["left_out"] == 1000 - logs.MOST


def test_events_of_calls_are_all_there_but_for_errors_that_a_client_causes(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    log = logging.getLogger("media_server.call")
    for i in range(100):
        logs.event(log, "agent.word", call="call-1", word=str(i))
        logs.event(log, "error", call="call-1", code="bad_message")
        logs.event(log, "error", call="call-2", code="bad_message")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert sum(line["message"] == "agent.word" for line in lines) == 100
    assert sum(line["message"] == "error" for line in lines) == 2 * logs.MOST


async def test_lines_within_a_call_carry_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")

    async def call(call_id: str) -> None:
        logs.in_call(call_id)
        await asyncio.create_task(deeper())

    async def deeper() -> None:
        logging.getLogger("aioice").warning("no candidates")

    await asyncio.gather(asyncio.create_task(call("call-1")), asyncio.create_task(call("call-2")))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    # what an earlier test's server left to be collected may be told of here as well
    assert [line.get("call") for line in lines if line["logger"] == "aioice"] == ["call-1", "call-2"], lines


def test_nobody_writes_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("human", "info")
    forged = "x\n21:21:21 INFO    forged\r\x1b[2J\u2028"
    logging.getLogger("x").warning("%s failed", forged)
    logs.event(logging.getLogger("x"), "call", text=forged, more={"a": forged}, odd=forged.encode())
    try:
        raise ValueError(forged)
    except ValueError:
        logging.getLogger("x").exception("failed")
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert not [line for line in err.splitlines() if line.startswith("21:21:21")]


def test_the_last_lines_are_kept_as_they_were_logged(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    logger = logging.getLogger("x")
    logs.in_call("call-1")
    logs.event(logger, "tool.called", name="n" * 10_000)
    logs.in_call("")
    logger.debug("too small a thing")
    try:
        raise ValueError("boo")
    except ValueError:
        logger.exception("went wrong")
    event, error = logs.recent()[-2:]
    assert (event["level"], event["message"], event["fields"]["call"]) == ("info", "tool.called", "call-1")
    assert len(event["fields"]["name"]) == 2000
    assert error["exception"] == "ValueError: boo"
    for _ in range(50):
        logger.warning("the same again")
    kept = [line for line in logs.recent() if line["message"] == "the same again"]
    assert len(kept) == len([line for line in capsys.readouterr().err.splitlines() if "the same again" in line]) == 20


@pytest.mark.parametrize("form", ["human", "json"])
def test_no_line_and_no_traceback_is_without_end(
    form: Literal["human", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    def deeper(n: int) -> None:
        if n:
            deeper_still(n)
        raise ValueError("x" * 100_000)

    def deeper_still(n: int) -> None:  # two that take turns: Python shortens a function that calls itself
        deeper(n - 1)

    logs.configure(form, "info")
    log = logging.getLogger("x")
    log.warning("agent a: voice: %r", "9" * 100_000)
    logs.event(log, "user.transcript", text="a" * 100_000)
    try:
        deeper(200)
    except ValueError:
        log.exception("failed")
    written = capsys.readouterr().err
    assert len(written) < 40_000
    assert written.count(" characters)") == 3
    assert written.count("deeper_still") < 100


def test_an_exception_whose_text_fails_is_logged_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise LookupError

    logs.configure("human", "info")
    try:
        raise Odd
    except Odd:
        logging.getLogger("x").exception("the tool failed")
    assert "the tool failed" in capsys.readouterr().err
    assert logs.recent()[-1]["exception"] == "Odd"
