"""The caller's side: microphone frames to voice activity to decisions, with the utterance's samples."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

import numpy as np

from media_server.audio import MODEL_RATE_HZ, Samples
from media_server.call.turns import Decision, SpeechStarted, TurnEnded, TurnMachine
from media_server.engines.silero import CHUNK, VoiceActivity
from media_server.rtc import Microphone

__all__ = ["Heard", "Listener"]

PREROLL_S = 0.3
"""Kept from before the onset, so that the first phoneme is not lost."""
TURN_S = 8.0
"""Seconds of a turn that are kept after transcription: how it sounds tells whether it is complete."""
QUIET_S, QUIET_ON_S = 0.2, 0.1
"""Without sound for this long within a turn, the caller counts as silent; how often the time is told from then on."""
LONGEST_S = 300.0
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
        """Of those kept, the last ones: what is still to be transcribed."""
        self._end_s = 0.0
        self.probability = 0.0
        """That what was heard last is speech."""
        self._quiet = False
        """The sound stays away."""

    def begin_segment(self, at_s: float, silent_since_s: float) -> None:
        """Leave out what came before speech that resumed at `at_s`, but for a pre-roll out of the silence before it."""
        from_s = max(silent_since_s, at_s - PREROLL_S)
        self._segment_samples = min(self._segment_samples, int((self._end_s - from_s) * MODEL_RATE_HZ))

    async def __aiter__(self) -> AsyncGenerator[Heard, None]:
        waiting = np.zeros(0, np.int16)
        async for frame in self._microphone.frames(self._patience_s):
            if frame is None:
                waiting = waiting[:0]
                for heard in self._fall_silent():
                    yield heard
                continue
            self._quiet = False
            start_s = frame.captured_at_s - len(waiting) / MODEL_RATE_HZ
            waiting = np.concatenate([waiting, frame.samples])
            while len(waiting) >= CHUNK:
                chunk, waiting = waiting[:CHUNK], waiting[CHUNK:]
                self._keep(chunk)
                # the network cannot hear anything in digital silence, and a muted caller sends a lot of it
                self.probability = self._activity.probability(chunk) if chunk.any() else 0.0
                decision = self._turns.hear(self.probability, start_s)
                start_s += CHUNK / MODEL_RATE_HZ
                self._end_s = start_s
                if decision is None:
                    continue
                if isinstance(decision, SpeechStarted):
                    onset_s = start_s - decision.at_s
                    self._forget_before(int((onset_s + PREROLL_S) * MODEL_RATE_HZ))
                yield self._heard(decision)
                if isinstance(decision, TurnEnded):
                    self._forget_before(0)

    def _patience_s(self) -> float | None:
        """How long the next sound is waited for; between turns for any time."""
        if self._turns.at_rest:
            return None
        return QUIET_ON_S if self._quiet else QUIET_S

    def _fall_silent(self) -> list[Heard]:
        """The sound stays away, whatever the reason: that is silence."""
        quiet_s = QUIET_ON_S if self._quiet else QUIET_S
        self._quiet = True
        self.probability = 0.0
        self._keep(np.zeros(int(quiet_s * MODEL_RATE_HZ), np.int16))
        self._end_s += quiet_s
        heard = [self._heard(decision) for decision in self._turns.pass_time(self._end_s)]
        if heard and isinstance(heard[-1].decision, TurnEnded):
            self._forget_before(0)
        return heard

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

    def _keep(self, chunk: Samples) -> None:
        self._kept.append(chunk)
        self._kept_samples += len(chunk)
        self._segment_samples += len(chunk)
        if self._turns.state == "idle":
            # between turns two seconds are enough for the longest onset and the pre-roll
            self._forget_before(2 * MODEL_RATE_HZ)
        else:
            wanted = max(self._segment_samples, int(TURN_S * MODEL_RATE_HZ))
            self._forget_before(min(wanted, int(LONGEST_S * MODEL_RATE_HZ)))

    def _forget_before(self, samples: int) -> None:
        """Keep about the last `samples`."""
        while self._kept and self._kept_samples - len(self._kept[0]) >= samples:
            self._kept_samples -= len(self._kept.pop(0))
        self._segment_samples = min(self._segment_samples, self._kept_samples)
