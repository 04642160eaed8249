"""The caller's side: microphone frames to voice activity to decisions, with the utterance's samples."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

import numpy as np

from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.call.turns import Decision, SpeechStarted, TurnEnded, TurnMachine
from media_server.engines.silero import CHUNK, CHUNK_S, VoiceActivity
from media_server.rtc import Microphone

__all__ = ["Heard", "Listener"]

PREROLL_S = 0.3
"""Kept from before the onset, so that the first phoneme is not lost."""
TURN_S = 8.0
"""Seconds of a turn that are kept after transcription: how it sounds tells whether it is complete."""
AT_ONCE = 32
"""Chunks that are heard before other calls have their turn."""
FAINT = 0.1
"""The probability of speech from which on each chunk is heard as soon as it comes."""
LATE_S = 0.02
"""Seconds before the end of what was heard, from which on sound has come late."""
MAX_S = 300.0
"""Maximum seconds of speech without a pause and without settled words; earlier sound is dropped."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A decision and the sound up to it: samples at 16 kHz, shape [n].

    Args:
        utterance: what is still to be transcribed; its first sample was at `start_s`.
        turn: the turn's last seconds, also those that are transcribed.
    """

    decision: Decision
    utterance: Samples
    start_s: float
    turn: Samples


class Listener:
    """Iterate it once, for the length of the call."""

    def __init__(self, microphone: Microphone, activity: VoiceActivity, turns: TurnMachine) -> None:
        self._microphone = microphone
        self._activity = activity
        self._turns = turns
        self._kept: list[Samples] = []
        self._kept_samples = 0
        self._segment_samples = 0
        """How many of those kept, at their end, are still to be transcribed."""
        self._end_s = -math.inf
        self.probability = 0.0
        """The probability that what was heard last is speech."""
        self._assumed_samples = 0
        """How many of those kept, at their end, are silence that was assumed, since no sound came."""

    def begin_segment(self, at_s: float, silent_since_s: float) -> None:
        """Leave out what came before speech that resumed at `at_s`, but for a pre-roll out of the silence before it."""
        from_s = max(silent_since_s, at_s - PREROLL_S)
        self._segment_samples = min(self._segment_samples, int((self._end_s - from_s) * MODEL_RATE_HZ))

    async def __aiter__(self) -> AsyncGenerator[Heard, None]:
        waiting, is_assumed = np.zeros(0, np.int16), False
        async for frame in self._microphone:
            start_s = frame.captured_at_s - len(waiting) / MODEL_RATE_HZ
            if start_s < self._end_s - LATE_S:
                # it was held up, and takes the place of the silence that was assumed for it
                self._withdraw(frame.captured_at_s)
                if is_assumed:
                    start_s, waiting = frame.captured_at_s, waiting[:0]
            is_assumed = frame.assumed
            waiting = np.concatenate([waiting, frame.samples])
            whole, waiting = waiting[: len(waiting) // CHUNK * CHUNK], waiting[len(waiting) // CHUNK * CHUNK :]
            for at in range(0, len(whole), AT_ONCE * CHUNK):
                if at:
                    await asyncio.sleep(0)  # it came all at once, after a stall
                samples = whole[at : at + AT_ONCE * CHUNK]
                for heard in self._hear(samples, start_s + at / MODEL_RATE_HZ, frame.assumed):
                    yield heard
                    if isinstance(heard.decision, TurnEnded):
                        self._forget_before(0)
            self._microphone.chunk = CHUNK if self._is_attentive else 2 * CHUNK

    @property
    def _is_attentive(self) -> bool:
        """Whether somebody speaks, or may be about to."""
        return self._turns.state != "idle" or self._turns.agent_speaking or self.probability >= FAINT

    def _hear(self, samples: Samples, start_s: float, assumed: bool) -> Iterator[Heard]:
        """What is decided by the next chunks."""
        for i, probability in enumerate(self._activity.probabilities(samples, self._is_attentive)):
            self.probability = probability
            self._keep(samples[i * CHUNK : (i + 1) * CHUNK], assumed)
            decision = self._turns.hear(probability, start_s + i * CHUNK_S, assumed)
            self._end_s = start_s + (i + 1) * CHUNK_S
            if decision is None:
                continue
            if isinstance(decision, SpeechStarted):
                onset_s = self._end_s - decision.at_s
                self._forget_before(int((onset_s + PREROLL_S) * MODEL_RATE_HZ))
            yield self._heard(decision)

    def forget(self) -> None:
        """Keep nothing of what was heard so far: it is not to be understood."""
        self._kept.clear()
        self._kept_samples = self._segment_samples = self._assumed_samples = 0

    def finish(self, at_s: float) -> list[Heard]:
        """End the turn under way, if there is one, without waiting for silence."""
        heard = [self._heard(decision) for decision in self._turns.finish(at_s)]
        if heard:
            self._forget_before(0)
        return heard

    def _heard(self, decision: Decision) -> Heard:
        samples = np.concatenate(self._kept) if self._kept else np.zeros(0, np.int16)
        utterance = samples[len(samples) - self._segment_samples :]
        start_s = self._end_s - len(utterance) / MODEL_RATE_HZ
        return Heard(decision, utterance, start_s, samples[-int(TURN_S * MODEL_RATE_HZ) :])

    def _keep(self, chunk: Samples, assumed: bool) -> None:
        self._kept.append(chunk)
        self._kept_samples += len(chunk)
        self._segment_samples += len(chunk)
        self._assumed_samples = self._assumed_samples + len(chunk) if assumed else 0
        if self._turns.state == "idle":
            # between turns two seconds are enough for the longest onset and the pre-roll
            self._forget_before(2 * MODEL_RATE_HZ)
        else:
            wanted = max(self._segment_samples, int(TURN_S * MODEL_RATE_HZ))
            self._forget_before(min(wanted, int(MAX_S * MODEL_RATE_HZ)))

    def _withdraw(self, from_s: float) -> None:
        """Drop silence that was assumed for the time from there on."""
        left = max(0, min(self._assumed_samples, round((self._end_s - from_s) * MODEL_RATE_HZ)))
        self._assumed_samples = 0
        self._kept_samples -= left
        self._segment_samples = max(0, self._segment_samples - left)
        while left > 0:
            last = self._kept.pop()
            if len(last) > left:
                self._kept.append(last[:-left])
            left -= len(last)

    def _forget_before(self, samples: int) -> None:
        """Keep about the last `samples`."""
        while self._kept and self._kept_samples - len(self._kept[0]) >= samples:
            self._kept_samples -= len(self._kept.pop(0))
        self._segment_samples = min(self._segment_samples, self._kept_samples)
        self._assumed_samples = min(self._assumed_samples, self._kept_samples)
