"""What handlers raise becomes an answer, and a line in the log where the server is at fault."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from sqlalchemy.exc import OperationalError

from media_server import logs
from media_server.http.connections import Limits, serving
from media_server.http.errors import errors_as_json

FAILURES: dict[str, Exception] = {
    "gone": ConnectionResetError("Cannot write to closing transport"),
    "full": OperationalError("INSERT", {}, Exception("database or disk is full")),
    "defect": RuntimeError("a defect"),
}
FORGED = "x%0a21:21:21%20INFO%20%20%20%20forged"


async def _fail(request: web.Request) -> web.Response:
    raise FAILURES[request.match_info["kind"]]


@contextlib.asynccontextmanager
async def failing_server() -> AsyncIterator[str]:
    app = web.Application(middlewares=[errors_as_json])
    app.router.add_get("/fail/{kind}/{name}", _fail)
    async with serving(app, "127.0.0.1", 0, None, Limits(4)) as (_, port):
        yield f"http://127.0.0.1:{port}"


async def answered(path: str) -> tuple[int, str]:
    async with failing_server() as url, ClientSession() as http, http.get(url + path) as answer:
        return answer.status, (await answer.json())["error"]["code"]


async def test_a_client_that_goes_away_is_nothing_to_tell_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert await answered("/fail/gone/x") == (400, "client_gone")
    assert not [r.message for r in caplog.records if r.name.startswith(("media_server", "aiohttp"))]


async def test_a_database_that_cannot_be_written_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert await answered("/fail/full/x") == (503, "no_records")
    (line,) = [r for r in caplog.records if r.name.startswith("media_server")]
    assert line.levelname == "ERROR"
    assert line.exc_info is None


async def test_the_log_names_the_address_as_the_api_does(capsys: pytest.CaptureFixture[str]) -> None:
    """What a stranger writes there could be a secret, or look like a line of the log."""
    logs.configure("human", "info")
    assert await answered(f"/fail/defect/{FORGED}") == (500, "internal_error")
    assert await answered(f"/fail/full/{FORGED}") == (503, "no_records")
    err = capsys.readouterr().err
    assert "GET /fail/{kind}/{name} failed" in err
    assert "forged" not in err
