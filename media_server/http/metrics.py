"""`/metrics`: what Prometheus is told of this server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from media_server import events as e
from media_server.call import RunningCall
from media_server.engines.engines import Engines
from media_server.http.access import ACCESS
from media_server.http.openapi import operation
from media_server.pulse import Pulse

__all__ = ["METRICS", "Metrics", "routes"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
"""Bounds of the histograms' buckets."""
SHARES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
MAX_NAMES = 200
"""Maximum values of a label; clients bring tools, and programs agents, of any name."""
OTHERS = "(others)"
MAX_CALLED = 10_000
GAPS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The metrics of one server: `observe` takes events of calls, `ended` each call at its end."""

    def __init__(self, engines: Engines, max_calls: int, pulse: Pulse | None = None) -> None:
        self.calls: Callable[[], int] = lambda: 0
        """How many calls are under way now."""
        self.connections: Callable[[], int] = lambda: 0
        """How many connections are held now."""
        self._pulse = pulse
        self._max_calls = max_calls
        self._engines = engines
        self._registry = CollectorRegistry()
        self._registry.register(_Now(self))

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"media_server_{name}", meaning, labels, registry=self._registry)

        self._ended = counter("calls", "Calls that ended, and why.", "agent", "reason")
        self._tools = counter("tools", "Tools that were run.", "name", "outcome")
        self._speculations = counter("speculations", "Replies begun on trial.", "outcome")
        self._late = counter("late_frames", "20 ms frames of speech that left late.")
        self._stages = Histogram(
            "media_server_turn_seconds",
            "Where the time of turns went.",
            ("stage",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._bad_lines = counter("bad_lines", "Times that the line of a call became bad.")
        self._round_trips = Histogram(
            "media_server_round_trip_seconds",
            "Between server and caller, in ten seconds of a call over WebRTC.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._jitter = Histogram(
            "media_server_jitter_seconds",
            "Interarrival jitter in ten seconds of a call over WebRTC.",
            ("sound",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._missing = Histogram(
            "media_server_missing_share",
            "Share of packets lost, and of the caller's sound missing, in ten seconds of a call over WebRTC.",
            ("what",),
            buckets=SHARES,
            registry=self._registry,
        )
        if pulse:
            gaps = Histogram(
                "media_server_loop_gap_seconds",
                "For how long the event loop stood still between two ticks.",
                buckets=GAPS,
                registry=self._registry,
            )
            pulse.observe = gaps.observe
        self._tool_names: set[str] = set()
        self._agent_names: set[str] = set()
        self._called: dict[str, str] = {}
        """Names of tools under way, by the id of the call."""

    def observe(self, envelope: e.Envelope) -> None:
        match envelope.event:
            case e.TurnMetrics() as turn:
                for stage, ms in turn.stages.items():
                    self._stages.labels(stage).observe(ms / 1000)
            case e.CallQuality() as line:
                self._jitter.labels("caller").observe(line.jitter_ms / 1000)
                self._jitter.labels("agent").observe(line.voice_jitter_ms / 1000)
                self._missing.labels("caller_packets").observe(line.lost)
                self._missing.labels("caller_sound").observe(line.concealed)
                self._missing.labels("agent_packets").observe(line.voice_lost)
                if line.round_trip_ms is not None:
                    self._round_trips.observe(line.round_trip_ms / 1000)
            case e.ConnectionChanged(quality="bad"):
                self._bad_lines.inc()
            case e.ToolCalled(id=tool_id, name=name):
                self._called[tool_id] = name
                if len(self._called) > MAX_CALLED:  # of calls that ended before their tools did
                    del self._called[next(iter(self._called))]
            case e.ToolReturned(id=tool_id, error=error):
                outcome = "ok" if error is None else "error"
                self._tools.labels(_named(self._called.pop(tool_id, ""), self._tool_names), outcome).inc()

    def ended(self, session: RunningCall) -> None:
        self._ended.labels(_named(session.call.agent.name, self._agent_names), session.reason).inc()
        self._late.inc(session.late_frames)
        wasted = session.call.wasted_speculations
        self._speculations.labels("wasted").inc(wasted)
        self._speculations.labels("used").inc(session.call.speculations - wasted)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def now(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """What is read when it is asked for."""
        calls = GaugeMetricFamily("media_server_calls", "Calls under way.", value=self.calls())
        most = GaugeMetricFamily("media_server_calls_limit", "Calls that are taken at once.", value=self._max_calls)
        held = GaugeMetricFamily("media_server_connections", "Connections of clients.", value=self.connections())
        if self._pulse:
            yield GaugeMetricFamily(
                "media_server_loop_longest_gap_seconds",
                "The longest time that the event loop stood still since this was last asked.",
                value=self._pulse.take_longest(),
            )
            yield GaugeMetricFamily(
                "media_server_loop_longest_work_seconds",
                "The most CPU that the event loop took between two ticks since this was last asked.",
                value=self._pulse.take_longest_work(),
            )
        requests = GaugeMetricFamily("media_server_engine_requests", "Requests under way.", labels=["engine"])
        restarts = CounterMetricFamily("media_server_engine_restarts", "Engines that died.", labels=["engine"])
        for engine in self._engines.all:
            requests.add_metric([engine.kind], engine.pending_requests)
            restarts.add_metric([engine.kind], engine.restarts)
        yield from (calls, most, held, requests, restarts)


def _named(name: str, known: set[str]) -> str:
    """The name, as long as there are not too many."""
    if name not in known and len(known) >= MAX_NAMES:
        return OTHERS
    known.add(name)
    return name


class _Now(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        return self._metrics.now()


METRICS = web.AppKey("metrics", Metrics)
routes = web.RouteTableDef()


@routes.get("/metrics")
@operation("Metrics for Prometheus", scope="admin", answers={200: str}, gives="text/plain")
async def metrics(request: web.Request) -> web.Response:
    await request.app[ACCESS].operator(request)  # it counts the calls of all tenants and agents
    return web.Response(body=request.app[METRICS].text(), content_type="text/plain", charset="utf-8")
