"""What Prometheus is told has an end, whatever clients call their tools."""

from __future__ import annotations

from types import SimpleNamespace

from media_server import events as e
from media_server.http.metrics import MAX_CALLED, MAX_NAMES, OTHERS, Metrics


def _seen(metrics: Metrics, event: e.Event) -> None:
    metrics.observe(e.Envelope("call-1", 0, 0.0, event))


def test_tools_of_any_name_are_counted_together_from_a_number_of_names_on() -> None:
    metrics = Metrics(SimpleNamespace(all=[]), 1)  # type: ignore[arg-type]
    for n in range(2 * MAX_NAMES):
        _seen(metrics, e.ToolCalled(f"id-{n}", f"tool_{n}", {}, "client"))
        _seen(metrics, e.ToolReturned(f"id-{n}"))
    text = metrics.text().decode()
    assert text.count("media_server_tools_total{") == MAX_NAMES + 1
    assert f'media_server_tools_total{{name="{OTHERS}",outcome="ok"}} {MAX_NAMES}.0' in text


def test_tools_that_never_return_are_forgotten() -> None:
    metrics = Metrics(SimpleNamespace(all=[]), 1)  # type: ignore[arg-type]
    for n in range(MAX_CALLED + 100):
        _seen(metrics, e.ToolCalled(f"id-{n}", "weather", {}, "client"))
    assert len(metrics._called) == MAX_CALLED
