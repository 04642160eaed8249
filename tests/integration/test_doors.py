"""A package that is installed beside the server brings a door of its own, as an entry point."""

from __future__ import annotations

import sys
from pathlib import Path

import aiohttp
import pytest

from media_server.config import Settings
from media_server.doors import GROUP, OWN, load_doors
from media_server.errors import ConfigurationError
from media_server.server import running_server
from media_server.store import Database, Keys

DOOR = """
from aiohttp import web
from media_server.http.access import ACCESS
from media_server.http.door import Door
from media_server.http.openapi import operation

routes = web.RouteTableDef()


@routes.get("/bell/names")
@operation("Bell: agents", scope="call", answers={200: list[str]})
async def names(request: web.Request) -> web.Response:
    key = await request.app[ACCESS].key(request, "call")
    return web.json_response(request.app[ACCESS].agents(key))


@routes.get("/bell/ws")
async def ring(request: web.Request) -> web.WebSocketResponse:
    await request.app[ACCESS].key(request, "call")
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str("ding")
    await socket.close()
    return socket


DOOR = Door("bell", [routes], key_prefixes=["bell_"], credential_names=["chime"], open_paths=["/bell/"])
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `bell_door` and what an installer writes beside it."""
    (tmp_path / "bell_door.py").write_text(DOOR)
    about = tmp_path / "bell_door-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bell-door\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{GROUP}]\nbell = bell_door:DOOR\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "bell_door", raising=False)
    return about / "entry_points.txt"


async def test_a_package_brings_a_door(installed: Path, tmp_path: Path) -> None:
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/keys.sqlite", open=False)
    async with Database.open(settings.database) as database:
        secret, _ = await Keys(database).create("site", origins=["https://shop.example"])
    bell = "bell_" + secret.removeprefix("sk_")
    page = {"Origin": "https://elsewhere.example"}
    async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
        shown = {"Authorization": f"Bearer {bell}"}
        async with http.get("/bell/names", headers=shown) as answered:
            assert (answered.status, await answered.json()) == (200, ["assistant", "home"])
        async with http.get("/bell/names", headers=page) as refused:  # any page reads why
            assert (refused.status, refused.headers.get("Access-Control-Allow-Origin")) == (401, page["Origin"])
        async with http.get("/v1/agents", headers=page) as refused:
            assert "Access-Control-Allow-Origin" not in refused.headers
        async with http.ws_connect("/bell/ws", params={"chime": bell}) as socket:
            assert await socket.receive_str() == "ding"
        async with http.get("/openapi.json") as answered:
            assert "/bell/names" in (await answered.json())["paths"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bell = bell_door:NOTHING", "cannot be loaded"),
        ("bell = no_such_module:DOOR", "cannot be loaded"),
        ("bell = bell_door:routes", "not a media_server Door"),
        (f"again = media_server.doors.{OWN[0]}:DOOR", "Two doors are called"),
    ],
)
def test_a_door_that_is_none_is_named(installed: Path, line: str, said: str) -> None:
    installed.write_text(f"[{GROUP}]\n{line}\n")
    with pytest.raises(ConfigurationError, match=said):
        load_doors()


def test_each_folder_is_a_door() -> None:
    assert [door.name for door in load_doors()] == list(OWN)
