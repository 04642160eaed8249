"""Traces, as a collector receives them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from media_server.caller import Caller
from media_server.config import Settings
from media_server.errors import ConfigurationError
from media_server.server import running_server
from tests.conftest import DATA


class Collector:
    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.raw = b""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw += body
        told = ExportTraceServiceRequest.FromString(body)
        self.spans += [s for r in told.resource_spans for scope in r.scope_spans for s in scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")


async def test_a_collector_is_told_where_the_time_of_a_turn_went(tmp_path: Path) -> None:
    collector, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    database = f"sqlite:///{tmp_path}/x.sqlite"
    try:
        async with running_server(
            Settings(port=0, traces=url, database=database, agents_dir=DATA / "agents")
        ) as server:
            await server.ready(60)
            async with Caller(server.url, "desk") as caller:
                await caller.wait_for("call.started")
                caller.send(type="text.send", text="where is my order four two seven")
                metrics = await caller.wait_for("turn.metrics")
                await caller.wait_for("agent.speech_stopped")
                caller.send(type="call.end")
                await caller.wait_for("call.ended")
    finally:
        await runner.cleanup()
    by_name = {s.name: s for s in collector.spans}
    assert by_name.keys() == {"call", "turn", "think", "synthesise", "tool get_order_status"}
    call, turn = by_name["call"], by_name["turn"]
    assert {s.trace_id for s in collector.spans} == {call.trace_id}
    assert turn.parent_span_id == by_name["tool get_order_status"].parent_span_id == call.span_id
    assert by_name["synthesise"].parent_span_id == turn.span_id
    assert (turn.end_time_unix_nano - turn.start_time_unix_nano) / 1e6 == pytest.approx(metrics["response_ms"], abs=5)
    told = {a.key: a.value.string_value for a in call.attributes}
    assert (told["agent"], told["call.id"], told["reason"]) == ("desk", caller.call_id, "client_hangup")
    assert b"427" not in collector.raw, "nothing of what was said"


async def test_a_collector_that_is_not_there_costs_nothing(tmp_path: Path) -> None:
    settings = Settings(port=0, traces="http://127.0.0.1:1/v1/traces", database=f"sqlite:///{tmp_path}/x.sqlite")
    async with running_server(settings) as server:
        await server.ready(60)
        async with Caller(server.url) as caller:
            await caller.wait_for("call.started")


async def test_without_the_packages_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match="pip install opentelemetry-sdk"):
        async with running_server(Settings(port=0, traces="http://127.0.0.1:1/")):
            pass
