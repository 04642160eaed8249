"""Live sound that is written down holds up nobody else."""

from __future__ import annotations

import asyncio

import pytest

from media_server.engines.silero import VoiceActivity, VoiceActivityModel
from media_server.http.dictation import DictationWanted, _Dictation


async def test_minutes_of_sound_in_one_message_leave_others_their_turn() -> None:
    model = VoiceActivityModel()
    wanted = DictationWanted(sample_rate=8000, encoding="mulaw")
    dictation = _Dictation(None, None, VoiceActivity(model), wanted, "type")  # type: ignore[arg-type]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    await dictation._push(bytes(range(256)) * 312 + b"\x11")
    waiting.cancel()
    assert turns >= 39
    assert dictation._segmenter.length_s == pytest.approx(9.98, abs=0.05)
