"""Recording a call: stereo Opus in Ogg, the caller left, the agent right, each when it was heard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Resampler, Samples, frame_of
from media_server.private import private_file, private_folder
from media_server.rtc.microphone import Frame
from media_server.tasks import in_thread

__all__ = ["Recorder"]

log = logging.getLogger(__name__)
T = TypeVar("T")

WRITE_S = 1.0
"""Between two writes …"""
LATE_S = 5.0
"""… of all but the newest: sound that a network held up may come so late and still find its place."""
CALLER_SLACK_S = 0.06
"""By how much sound may be before or after its time and still continue what came before."""
AGENT_SLACK_S = 0.3
"""The same for the agent's, which a line may take ahead of time."""
PAGE_US = "500000"
BUFFER = 1024
"""Bytes that FFmpeg holds back at most."""
BIT_RATE = 48_000
FRAME = CALL_RATE_HZ // 50


class _Side:
    """One channel, as 48 kHz samples from `taken` on, on the call's clock. Late sound takes its place by its time."""

    def __init__(self, slack_s: float) -> None:
        self._slack = int(slack_s * CALL_RATE_HZ)
        self._window: Samples = np.zeros(CALL_RATE_HZ, np.int16)
        self._taken = 0
        """In samples since the call began, as is `end`."""
        self._end = 0
        """Where the newest sound ended."""

    def add(self, samples: Samples, start_s: float) -> None:
        start = round(start_s * CALL_RATE_HZ)
        if abs(start - self._end) <= self._slack:
            start = self._end
        self._end = start + len(samples)
        at = start - self._taken
        if at < 0:
            samples, at = samples[-at:], 0
        end = at + len(samples)
        if end > len(self._window):
            self._window = np.concatenate([self._window, np.zeros(end + CALL_RATE_HZ - len(self._window), np.int16)])
        self._window[at:end] = samples

    def take(self, until: int) -> Samples:
        """Everything up to there, silence where nothing was."""
        wanted = until - self._taken
        self._taken = until
        taken, self._window = self._window[:wanted], self._window[wanted:].copy()
        return np.pad(taken, (0, wanted - len(taken)))


class Recorder:
    """`heard` and `spoken` take the sound; `run` writes it until it is cancelled, and closes the file then."""

    def __init__(self, path: Path, clock: Callable[[], float], on_failed: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._on_failed = on_failed
        """Is called when the recording ends before the call, as on a full disk."""
        self._clock = clock
        self._caller, self._agent = _Side(CALLER_SLACK_S), _Side(AGENT_SLACK_S)
        self._resampler = Resampler(CALL_RATE_HZ)
        self._written = 0
        self._given_up = False

    def heard(self, frame: Frame) -> None:
        """Record what the caller says."""
        if self._given_up or not frame.samples.any():
            return
        self._caller.add(self._resampler.push(frame_of(frame.samples, MODEL_RATE_HZ)), frame.captured_at_s)

    def spoken(self, samples: Samples) -> None:
        """Record what the agent says: 48 kHz samples that go out now."""
        if self._given_up or not samples.any():
            return
        self._agent.add(samples, self._clock())

    async def run(self) -> None:
        """Write, for ever; a disk that is full ends the recording and not the call."""
        try:
            writer = await in_thread(_Writer, self._path)
            try:
                while True:
                    await asyncio.sleep(WRITE_S)
                    await in_thread(writer.write, *self._due(self._clock() - LATE_S))
            finally:
                await in_thread(writer.close, *self._due(self._clock()))
        except (OSError, av.FFmpegError):
            self._given_up = True
            self._on_failed()
            log.error("%s could not be written; the call goes on unrecorded", self._path.name)

    def _due(self, until_s: float) -> tuple[Samples, Samples]:
        """What both sides have until then, whole frames."""
        until = max(self._written, int(until_s * CALL_RATE_HZ) // FRAME * FRAME)
        self._written = until
        return self._caller.take(until), self._agent.take(until)


class _Writer:
    """The file. Blocks; used in threads, one after the other."""

    def __init__(self, path: Path) -> None:
        private_folder(path.parent)
        private_file(path)
        # pages of half a second, each written when the next begins: a server that is killed leaves all but the last
        self._file = path.open("wb", buffering=0)
        options = {"page_duration": PAGE_US, "flush_packets": "1"}
        self._container = av.open(self._file, "w", format="ogg", options=options, buffer_size=BUFFER)
        self._stream: Any = self._container.add_stream("libopus", rate=CALL_RATE_HZ)
        self._stream.layout = "stereo"
        self._stream.bit_rate = BIT_RATE
        self._pts = 0

    def write(self, caller: Samples, agent: Samples) -> None:
        both = np.stack([caller, agent], axis=1)
        for start in range(0, len(both), FRAME):
            piece = np.ascontiguousarray(both[start : start + FRAME].reshape(1, -1))
            frame: Any = av.AudioFrame.from_ndarray(piece, format="s16", layout="stereo")
            frame.sample_rate = CALL_RATE_HZ
            frame.pts = self._pts
            self._pts += piece.size // 2
            self._container.mux(self._stream.encode(frame))

    def close(self, caller: Samples, agent: Samples) -> None:
        try:
            self.write(caller, agent)
            self._container.mux(self._stream.encode(None))
        finally:
            try:
                self._container.close()
            finally:
                self._file.close()
