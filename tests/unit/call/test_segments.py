"""Live sound is cut into stretches of speech at its pauses."""

from __future__ import annotations

import numpy as np
import pytest

from media_server.call.segments import MAX_S, Segment, Segmenter
from media_server.engines.silero import CHUNK, CHUNK_S


def heard(segmenter: Segmenter, *stretches: tuple[float, float]) -> list[Segment]:
    """What ends while these pass: seconds, and the probability that they are speech."""
    chunk = np.zeros(CHUNK, np.int16)
    passed = [p for seconds, p in stretches for _ in range(round(seconds / CHUNK_S))]
    return [segment for p in passed if (segment := segmenter.hear(chunk, p)) is not None]


def test_a_pause_ends_a_stretch_and_the_next_begins_shortly_before_it() -> None:
    segmenter = Segmenter()
    first, second = heard(segmenter, (1, 0.0), (1, 0.9), (1, 0.0), (0.5, 0.9), (1, 0.0))
    assert first.start_s == pytest.approx(0.7, abs=0.05)
    assert second.start_s == pytest.approx(2.7, abs=0.05)
    assert len(first.samples) / 16_000 == pytest.approx(2.0, abs=0.1)
    assert segmenter.under_way is None


def test_a_short_pause_ends_nothing() -> None:
    segmenter = Segmenter()
    assert heard(segmenter, (1, 0.9), (0.4, 0.0), (1, 0.9)) == []
    assert segmenter.under_way is not None
    assert segmenter.finish() is not None
    assert segmenter.finish() is None


def test_speech_without_a_pause_is_cut_in_the_end() -> None:
    first, second = heard(Segmenter(), (2 * MAX_S + 1, 0.9))
    assert len(first.samples) / 16_000 == pytest.approx(MAX_S, abs=0.1)
    assert second.start_s == pytest.approx(MAX_S, abs=0.1)


def test_silence_is_nothing() -> None:
    segmenter = Segmenter()
    assert heard(segmenter, (5, 0.1)) == []
    assert (segmenter.under_way, segmenter.finish()) == (None, None)
    assert segmenter.length_s == pytest.approx(5, abs=0.1)
