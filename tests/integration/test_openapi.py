"""The document of the API: complete, and true of what the server answers to whatever it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from media_server.config import Settings
from media_server.server import Server, running_server
from media_server.store import Database, Keys
from tests.conftest import no_sessions

PAGES = {"/", "/static/{path}", "/openapi.json"}
ENDLESS = {"/v1/events", "/v1/chat"}
CLOSING = {"/v1/keys"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def as_text(ctx: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "replace")


async def document(server: Server) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/openapi.json") as response:
        assert response.status == 200
        described: dict[str, Any] = await response.json()
    return described


async def test_every_address_is_described(server: Server) -> None:
    described = await document(server)
    assert described["openapi"] == "3.1.0"
    assert {"/v1/sessions", "/v1/calls/{id}/events", "/v1/chat", "/metrics", "/v1/tokens"} <= described["paths"].keys()
    offer = described["paths"]["/v1/sessions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert offer["required"] == ["sdp", "type"], "made from the model that checks requests"


async def attack(server: Server, schema: Any, headers: Mapping[str, str] = MappingProxyType({})) -> int:
    """Send what the schema describes, and what it does not; how many requests these were."""

    def run() -> int:
        sent = 0
        for found in schema.get_all_operations():
            operation: Any = found.ok()

            @settings(
                max_examples=25,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy())
            def send(case: Any) -> None:
                nonlocal sent
                sent += 1
                case.call_and_validate(base_url=server.url, checks=CHECKS, timeout=10, headers=dict(headers))

            send()
        return sent

    return await asyncio.to_thread(run)


async def test_whatever_is_sent_is_answered_as_described(server: Server) -> None:
    described = await document(server)
    schema = schemathesis.openapi.from_dict(described).exclude(path=[*ENDLESS, *CLOSING])
    assert await attack(server, schema) > 300
    await no_sessions(server)


async def test_whatever_is_sent_with_a_key_is_too(tmp_path: Path) -> None:
    """What makes keys would close the server of the other tests, and without one it answers next to nothing."""
    url = f"sqlite:///{tmp_path}/x.sqlite"
    async with Database.open(url) as database:
        key, _ = await Keys(database).create("me", ["admin"])
    async with running_server(Settings(port=0, database=url)) as closed:
        schema = schemathesis.openapi.from_dict(await document(closed)).include(path=list(CLOSING))
        assert await attack(closed, schema, {"Authorization": f"Bearer {key}"}) > 20
