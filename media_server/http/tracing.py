"""Traces for OpenTelemetry: one for each call, with its turns and their stages. Words are in none of them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from media_server import __version__
from media_server import events as e
from media_server.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["Tracing"]

MAX_S = 2.0
"""Seconds for sending: a collector that is gone does not hold up the server's end."""
STAGES = {
    "transcribe": ("paused", "transcript"),
    "think": ("transcript", "first_clause"),
    "synthesise": ("first_clause", "first_audio"),
}
"""The stages of a turn: between which of its marks each lies."""


class Tracing:
    """`observe` takes the events of calls."""

    def __init__(self, tracer: Tracer) -> None:
        from opentelemetry import trace

        self._tracer = tracer
        self._within = trace.set_span_in_context
        self._failed = trace.Status(trace.StatusCode.ERROR)
        self._calls: dict[str, Span] = {}
        self._tools: dict[str, Span] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, endpoint: str, server: str) -> AsyncIterator[Tracing]:
        """Traces go to `endpoint` (OTLP over HTTP, protobuf) while the block runs; at its end what waits is sent.

        Raises:
            ConfigurationError: the packages for it are not installed.
        """
        try:
            exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
            resources = importlib.import_module("opentelemetry.sdk.resources")
            sdk = importlib.import_module("opentelemetry.sdk.trace")
            export = importlib.import_module("opentelemetry.sdk.trace.export")
        except ImportError as e:
            raise ConfigurationError(
                "Traces need packages that are not installed: "
                "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http."
            ) from e
        resource = resources.Resource.create({"service.name": "media-server", "service.instance.id": server})
        provider = sdk.TracerProvider(resource=resource)
        # sends from a thread of its own
        provider.add_span_processor(export.BatchSpanProcessor(exporter.OTLPSpanExporter(endpoint, timeout=MAX_S)))
        tracing = cls(provider.get_tracer("media_server", __version__))
        try:
            yield tracing
        finally:
            for span in [*tracing._tools.values(), *tracing._calls.values()]:
                span.end()
            await asyncio.to_thread(provider.shutdown)

    def observe(self, envelope: e.Envelope) -> None:
        call_id, event = envelope.call_id, envelope.event
        if isinstance(event, e.CallStarted):
            told = {"call.id": call_id, "agent": event.agent, "transport": event.transport}
            self._calls[call_id] = self._tracer.start_span("call", attributes=told)
        if (call := self._calls.get(call_id)) is None:
            return
        match event:
            case e.TurnMetrics():
                self._turn(call, event)
            case e.ToolCalled(id=tool_id, name=name):
                self._tools[tool_id] = self._tracer.start_span(f"tool {name}", self._within(call))
            case e.ToolReturned(id=tool_id, error=error) if (span := self._tools.pop(tool_id, None)) is not None:
                if error is not None:
                    span.set_status(self._failed)
                span.end()
            case e.ConnectionChanged(quality=quality):
                call.add_event("connection", {"quality": quality})
            case e.CallWarning(code=code) | e.Error(code=code):
                call.add_event(event.type, {"code": code})
            case e.CallEnded(reason=reason, quality=whole):
                call.set_attribute("reason", reason)
                for name, figure in dataclasses.asdict(whole).items() if whole else ():
                    if figure is not None:
                        call.set_attribute(f"line.{name}", figure)
                self._calls.pop(call_id).end()

    def _turn(self, call: Span, event: e.TurnMetrics) -> None:
        # the event comes as the first sound leaves, which ends the turn's time
        began_ns = time.time_ns() - _ns(event.response_ms)
        told = {f"{name}_ms": ms for name, ms in event.stages.items()} | {"turn.id": event.turn_id}
        turn = self._tracer.start_span("turn", self._within(call), attributes=told, start_time=began_ns)
        marks = event.marks
        for name, (start, end) in STAGES.items():
            # what was typed has no marks before the first token
            if (end_ms := getattr(marks, end)) is not None:
                start_ms = getattr(marks, start) or 0
                span = self._tracer.start_span(name, self._within(turn), start_time=began_ns + _ns(start_ms))
                span.end(began_ns + _ns(max(start_ms, end_ms)))
        if marks.turn_ended is not None:
            turn.add_event("turn ended", timestamp=began_ns + _ns(marks.turn_ended))
        turn.end()


def _ns(ms: float) -> int:
    return int(ms * 1_000_000)
