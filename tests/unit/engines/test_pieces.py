"""The recogniser's queue: live sound first, recordings last, and no batch that waits for a much longer piece."""

from __future__ import annotations

import numpy as np

from media_server.engines import messages as m
from media_server.engines.guards import RATE_HZ, windows
from media_server.engines.pieces import Pieces


def queue() -> Pieces[str]:
    return Pieces(lambda samples: windows(samples, 5), len)


def sound(seconds: float) -> bytes:
    return np.zeros(int(seconds * RATE_HZ), np.int16).tobytes()


def order(pieces: Pieces[str], most: int = 1) -> list[list[int]]:
    """Which requests have a piece in which step, until all are done."""
    steps = []
    while pieces:
        batch = pieces.next(most)
        steps.append([job.request.id for job in batch])
        for job in batch:
            job.waiting.popleft()
            job.heard.append("")
            if not job.waiting:
                pieces.remove(job.request.id)
    return steps


def test_finals_go_before_partials_and_both_before_recordings() -> None:
    pieces = queue()
    pieces.add(m.Transcribe(1, sound(3), live=False))
    pieces.add(m.Transcribe(2, sound(3), final=False))
    pieces.add(m.Transcribe(3, sound(3), final=True))
    assert order(pieces, most=8) == [[3], [2], [1]]


def test_a_newcomer_waits_for_one_piece_of_long_sound_only() -> None:
    pieces = queue()
    pieces.add(m.Transcribe(1, sound(14)))
    assert [job.request.id for job in pieces.next(1)] == [1]
    first = pieces.next(1)[0]
    first.waiting.popleft()
    first.heard.append("")
    pieces.add(m.Transcribe(2, sound(2)))
    assert order(pieces)[:2] == [[2], [1]]


def test_sound_of_unlike_length_is_not_heard_together() -> None:
    pieces = queue()
    for i, seconds in enumerate([1.0, 1.2, 4.0, 1.4]):
        pieces.add(m.Transcribe(i, sound(seconds)))
    assert order(pieces, most=8) == [[0, 1, 3], [2]]


def test_what_is_withdrawn_is_gone_at_once() -> None:
    pieces = queue()
    pieces.add(m.Transcribe(1, sound(14)))
    pieces.remove(1)
    assert not pieces
