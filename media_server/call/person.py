"""A person who has taken a call over, by voice: heard by the caller, and written down for when the agent goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import numpy as np

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Resampler, Samples, frame_of
from media_server.call.conversation import Conversation
from media_server.call.listen import Heard, Listener
from media_server.call.turns import TurnEnded, TurnMachine, TurnSettings
from media_server.engines.engines import Engines
from media_server.engines.silero import VoiceActivity, VoiceActivityModel
from media_server.errors import EngineError
from media_server.events import AgentSpeechStarted, AgentSpeechStopped, AgentText
from media_server.rtc import Frame, Microphone, PacedSound, Speaker, Speech

__all__ = ["Person"]

PAUSE_MS = 700
"""The pause after which something is written down."""
AHEAD_S = 0.2
"""Seconds of silence before a sound, so that a piece that comes late is not heard as a gap."""


class Person:
    """`hear` takes their sound, `run` conducts them until it is cancelled; only in a paused call they are heard."""

    def __init__(
        self,
        call: Conversation,
        engines: Engines,
        activity: VoiceActivityModel,
        speaker: Speaker,
        clock: Callable[[], float],
    ) -> None:
        self._call = call
        self._engines = engines
        self._speaker = speaker
        self._clock = clock
        self._resampler = Resampler(CALL_RATE_HZ)
        self._utterances: asyncio.Queue[Samples] = asyncio.Queue()
        microphone = Microphone(clock)
        self._sound = PacedSound(microphone, clock)
        microphone.taps.append(self._play)
        self._listener = Listener(microphone, VoiceActivity(activity), TurnMachine(TurnSettings(pause_ms=PAUSE_MS)))

    async def hear(self, samples: Samples, rate_hz: int) -> None:
        """Take sound, shape [n]; returns when more is welcome."""
        await self._sound.push(samples[:, None], rate_hz)

    def finish(self) -> None:
        """They give the call back: what they have just said is written down without waiting for a pause."""
        self._take(self._listener.finish(self._clock()))

    def _take(self, heard: Iterable[Heard]) -> None:
        for each in heard:
            if isinstance(each.decision, TurnEnded) and self._call.paused:
                self._utterances.put_nowait(each.utterance)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sound.run(), name=f"{self._call.id}-person-sound")
                group.create_task(self._write_down(), name=f"{self._call.id}-person")
                async for heard in self._listener:
                    self._take([heard])
        finally:
            self._sound.close()

    def _play(self, frame: Frame) -> None:
        if not self._call.paused or not frame.samples.any():
            return
        if self._speaker.drained.is_set():
            self._speaker.play(Speech(np.zeros(int(AHEAD_S * CALL_RATE_HZ), np.int16)))
        self._speaker.play(Speech(self._resampler.push(frame_of(frame.samples, MODEL_RATE_HZ))))

    async def _write_down(self) -> None:
        while True:
            samples = await self._utterances.get()
            # words that cannot be had are lost to the history; the caller has heard them
            with contextlib.suppress(EngineError):
                language = self._call.agent.language
                transcript = await self._engines.transcribe(samples, final=True, language=language)
                if transcript.text:
                    self._note(transcript.text)

    def _note(self, text: str) -> None:
        """What they said was heard by the caller."""
        turn_id = self._call.next_turn()
        self._call.emit(AgentText(turn_id, text))
        self._call.emit(AgentSpeechStarted(turn_id))
        self._call.emit(AgentSpeechStopped(turn_id, "completed", text))
        self._call.history.add_agent(text)
