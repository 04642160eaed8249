"""Recording a call: Opus in Ogg, the caller left, the agent right, each when it was heard.

What came or went as a packet of 20 ms of Opus is kept as it is; only other sound (over WebSockets, of other codecs) is
encoded. The file grows as the call goes on, and its last seconds are written anew where sound comes late.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import av
import numpy as np

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples
from media_server.private import private_file, private_folder
from media_server.rtc import ogg
from media_server.rtc.encoding import opus_encoder
from media_server.rtc.microphone import Frame
from media_server.tasks import in_thread

__all__ = ["Recorder"]

log = logging.getLogger(__name__)

SLOT_S = 0.02
TICKS = CALL_RATE_HZ // 50
"""Samples of a slot at 48 kHz."""
WRITE_S = 0.5
"""Seconds between two writes …"""
BEHIND_S = 0.2
"""… of all but the newest, which is still on its way."""
PAGE = 10
"""Slots of a page; only whole pages are written while the call goes on."""
LATE_S = 5.0
"""How late sound may come that a network held up, and still find its place."""
CALLER_SLACK_S, PACKET_SLACK_S = 0.06, 0.03
"""How far sound may be before or after its time and still continue what came before."""
AGENT_SLACK_S = 0.3
"""The same for the agent's, which a line may take ahead of time."""


class _Side:
    """One channel in slots of 20 ms on the call's clock. Each is a packet of Opus, or samples at `rate_hz`."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._size = rate_hz // 50
        self.slots: dict[int, bytes | Samples] = {}
        self._changed: set[int] = set()
        """Those that are not written as they are now."""
        self._end = 0
        """Where the newest sound ended, in samples since the call began."""

    def at(self, start_s: float, slack_s: float) -> int:
        """Where sound of that time goes: it continues what came before, if it is about its time."""
        start = round(start_s * self._rate_hz)
        return self._end if abs(start - self._end) <= slack_s * self._rate_hz else max(0, start)

    def add(self, samples: Samples, at: int) -> None:
        """Samples of any number; of silence only the time counts, for other sound may have its place."""
        self._end = at + len(samples)
        if not samples.any():
            return
        while len(samples):
            slot, offset = divmod(at, self._size)
            piece, samples = samples[: self._size - offset], samples[self._size - offset :]
            at += len(piece)
            there = self.slots.get(slot)
            if there is None or isinstance(there, bytes):
                there = self.slots[slot] = np.zeros(self._size, np.int16)
            there[offset : offset + len(piece)] = piece
            self._changed.add(slot)

    def put(self, packet: bytes, at: int) -> None:
        """20 ms, in the slot that is nearest."""
        slot = round(at / self._size)
        self.slots[slot] = packet
        self._changed.add(slot)
        self._end = (slot + 1) * self._size

    def take(self, until: int) -> dict[int, bytes | Samples]:
        """What has changed before that slot, in order."""
        changed = sorted(slot for slot in self._changed if slot < until)
        self._changed.difference_update(changed)
        taken = {}
        for slot in changed:
            there = self.slots[slot]
            taken[slot] = there if isinstance(there, bytes) else there.copy()
        return taken

    def forget(self, before: int) -> None:
        """Give up what is too old to change."""
        for slot in [slot for slot in self.slots if slot < before]:
            del self.slots[slot]
            self._changed.discard(slot)


class Recorder:
    """`heard`, `spoken` and `sent` take the sound; `run` writes it until it is cancelled, and closes the file then."""

    def __init__(self, path: Path, clock: Callable[[], float], on_failed: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._on_failed = on_failed
        """Is called when the recording ends before the call, as on a full disk."""
        self._clock = clock
        self._caller, self._agent = _Side(MODEL_RATE_HZ), _Side(CALL_RATE_HZ)
        self._now = 0
        """Where the agent's newest 20 ms go."""
        self._given_up = False

    def heard(self, frame: Frame) -> None:
        """Take sound of the caller."""
        if self._given_up:
            return
        if frame.packet is not None:
            self._caller.put(frame.packet, self._caller.at(frame.captured_at_s, PACKET_SLACK_S))
        else:
            self._caller.add(frame.samples, self._caller.at(frame.captured_at_s, CALLER_SLACK_S))

    def spoken(self, samples: Samples) -> None:
        """Take sound of the agent: 48 kHz samples that go out now."""
        if self._given_up:
            return
        self._now = self._agent.at(self._clock(), AGENT_SLACK_S)
        self._agent.add(samples, self._now)

    def sent(self, packet: bytes) -> None:
        """Take the packet of Opus as which the samples that were spoken last went out."""
        if not self._given_up:
            self._agent.put(packet, self._now)

    async def run(self) -> None:
        """Write, for ever; a disk that is full ends the recording and not the call."""
        try:
            writer = await in_thread(_Writer, self._path)
            try:
                while True:
                    await asyncio.sleep(WRITE_S)
                    until = int((self._clock() - BEHIND_S) / SLOT_S) // PAGE * PAGE
                    await in_thread(writer.write, *self._due(until))
            finally:
                await in_thread(writer.close, *self._due(int(self._clock() / SLOT_S)))
        except (OSError, av.FFmpegError):
            self._given_up = True
            self._caller, self._agent = _Side(MODEL_RATE_HZ), _Side(CALL_RATE_HZ)
            self._on_failed()
            log.error("%s could not be written; the call goes on unrecorded", self._path.name)

    def _due(self, until: int) -> tuple[Mapping[int, bytes | Samples], Mapping[int, bytes | Samples], int]:
        due = self._caller.take(until), self._agent.take(until), until
        oldest = until - int(LATE_S / SLOT_S)
        self._caller.forget(oldest)
        self._agent.forget(oldest)
        return due


class _Channel:
    """One side's packets of the last seconds."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._encoder = opus_encoder(rate_hz)
        self._next: int | None = None
        """The slot whose sound goes on from what was encoded last."""
        self._packets: dict[int, bytes] = {}

    def take(self, slots: Mapping[int, bytes | Samples]) -> None:
        for slot, sound in slots.items():
            if isinstance(sound, bytes):
                self._packets[slot] = sound
                continue
            if slot != self._next:
                # an encoder tells how loud a frame is by the one before it, which a decoder has not heard here
                self._encoder = opus_encoder(self._rate_hz)
            self._packets[slot], self._next = self._encoder.encode(sound), slot + 1

    def packet(self, slot: int) -> bytes:
        return self._packets.get(slot, ogg.SILENCE)

    def forget(self, before: int) -> None:
        for slot in [slot for slot in self._packets if slot < before]:
            del self._packets[slot]


class _Writer:
    """The file. Blocks; used in threads, one after the other."""

    def __init__(self, path: Path) -> None:
        private_folder(path.parent)
        private_file(path)
        self._caller, self._agent = _Channel(MODEL_RATE_HZ), _Channel(CALL_RATE_HZ)
        self._serial = secrets.randbits(32)
        self._written = 0
        """Slots."""
        self._file = path.open("wb", buffering=0)
        head = ogg.headers(self._serial)
        self._file.write(head)
        self._offsets = {0: len(head)}
        """Where in the file the pages that may change begin, and the next one."""

    def write(
        self, caller: Mapping[int, bytes | Samples], agent: Mapping[int, bytes | Samples], until: int, flags: int = 0
    ) -> None:
        """Write all slots before `until`, and those again that have changed."""
        self._caller.take(caller)
        self._agent.take(agent)
        touched = [slot // PAGE for slot in (*caller, *agent)]
        last = (until - 1) // PAGE if flags else self._written // PAGE
        first = max(min([*touched, self._written // PAGE, last]), min(self._offsets))
        if until <= first * PAGE:
            return
        pages = []
        offset = self._offsets[first]
        for start in range(first * PAGE, until, PAGE):
            end = min(start + PAGE, until)
            slots = range(start, end)
            packets = [ogg.channels(self._caller.packet(slot), self._agent.packet(slot)) for slot in slots]
            number = start // PAGE
            pages.append(ogg.page(packets, end * TICKS, self._serial, number + 2, flags if end == until else 0))
            offset += len(pages[-1])
            self._offsets[number + 1] = offset
        # in one piece: a server that is killed leaves a file that is whole
        self._file.seek(self._offsets[first])
        self._file.write(b"".join(pages))
        self._file.truncate()
        self._written = until
        self._forget(until - int(LATE_S / SLOT_S))

    def close(self, caller: Mapping[int, bytes | Samples], agent: Mapping[int, bytes | Samples], until: int) -> None:
        """Write what is left, and that it is the end."""
        try:
            self.write(caller, agent, max(until, self._written, 1), ogg.ENDS)
        finally:
            self._file.close()

    def _forget(self, before: int) -> None:
        oldest = before // PAGE
        for page in [page for page in self._offsets if page < oldest]:
            del self._offsets[page]
        self._caller.forget(oldest * PAGE)
        self._agent.forget(oldest * PAGE)
