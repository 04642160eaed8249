from __future__ import annotations

from collections.abc import Iterable

import onnxruntime
import pytest

from media_server.engines.durations import _field, _fields, with_durations
from tests.conftest import STARTER

VOICE = STARTER / "voice" / "starter-voice.onnx"


def outputs(model: bytes) -> list[str]:
    return [o.name for o in onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_outputs()]


def graph(nodes: Iterable[tuple[str, str]], shown: Iterable[str]) -> bytes:
    """A model's bytes: nodes by kind and output, and the outputs of the graph."""
    inner = b"".join(_field(1, _field(2, out.encode()) + _field(4, kind.encode())) for kind, out in nodes)
    inner += b"".join(_field(12, _field(1, name.encode())) for name in shown)
    return b"\x08\x08" + _field(7, inner) + b"\x10\x01"


def shown(model: bytes) -> list[bytes]:
    """The names of a graph's outputs."""
    ((_, _, start, end),) = [f for f in _fields(model, 0, len(model)) if f[0] == 7]
    found = [(a, b) for number, _, a, b in _fields(model, start, end) if number == 12]
    return [model[c:d] for a, b in found for _, _, c, d in _fields(model, a, b)]


def test_the_rounded_durations_become_an_output() -> None:
    model = graph([("Mul", "x"), ("Ceil", "w_ceil"), ("Add", "y")], ["output"])
    changed = with_durations(model)
    assert changed is not None
    assert shown(changed) == [b"output", b"w_ceil"]
    assert changed.startswith(b"\x08\x08")
    assert changed.endswith(b"\x10\x01")


@pytest.mark.parametrize(
    "model",
    [
        b"",
        b"no model at all",
        b"\x3a\xff\xff\xff\xff\x0f",
        graph([("Mul", "x")], ["output"]),
        graph([("Ceil", "a"), ("Ceil", "b")], ["output"]),
        graph([("Ceil", "a")], ["output", "a"]),
    ],
    ids=["empty", "nonsense", "cut", "none", "two", "already"],
)
def test_what_has_no_durations_to_show_stays_as_it_is(model: bytes) -> None:
    assert with_durations(model) is None


def test_a_voice_that_tells_its_durations_is_left_alone() -> None:
    assert with_durations(VOICE.read_bytes()) is None
    assert outputs(VOICE.read_bytes()) == ["output", "durations"]
