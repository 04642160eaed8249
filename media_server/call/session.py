"""One session: a call and the lines that it goes over, one after the other, until the last socket is closed."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from media_server import events as e
from media_server import logs
from media_server.agents import Agent
from media_server.call.call import Call
from media_server.call.floor import Audio
from media_server.call.inbox import RateLimitedInbox
from media_server.call.person import Person
from media_server.call.running import RunningCall
from media_server.call.services import Services
from media_server.rtc import Handset, LevelMeter, LineCounts, LineQuality, Microphone, Recorder, Speaker
from media_server.tasks import first_of
from media_server.terms import Terms

__all__ = ["NATIVE", "Connection", "Dialect", "Line", "Session", "new_call_id"]

log = logging.getLogger("media_server.call")

KEPT = 1000
"""Messages for a client that comes back."""


class Line(Protocol):
    """What a call goes over."""

    connected: asyncio.Event
    """The other side is there, and ready."""
    gone: asyncio.Event
    """It is there no more."""
    closed_by_peer: bool
    """It has ended the connection, rather than lost it."""

    @property
    def transport(self) -> e.Transport: ...

    def send(self, message: Mapping[str, Any]) -> None:
        """Never blocks and never fails."""
        ...

    def acknowledge(self, buffered_s: float) -> None:
        """The client says how much speech it has still to play."""
        ...

    async def run(self) -> None:
        """Do what the line has to do; returns when the other side is gone."""
        ...

    async def flush(self) -> None:
        """Wait a moment for what was sent to arrive."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class Dialect(Protocol):
    """What is said over the line."""

    def outgoing(self, envelope: e.Envelope) -> Iterable[Mapping[str, Any]]:
        """An event as the client is sent it: any number of messages."""
        ...

    def incoming(self, text: str | bytes) -> Sequence[e.ClientMessage]:
        """What a message of the client asks for. Raises `ClientError` if it is none."""
        ...


class _Native:
    def outgoing(self, envelope: e.Envelope) -> Iterable[Mapping[str, Any]]:
        return (envelope.wire,)

    def incoming(self, text: str | bytes) -> Sequence[e.ClientMessage]:
        return (e.parse_client_message(text),)


NATIVE = _Native()
SIGNS_OF_LIFE = frozenset({"ping", b"ping", '{"type":"ping"}', b'{"type":"ping"}'})


@dataclass(frozen=True, slots=True)
class Connection:
    """How the lines of a session are to be.

    Args:
        linger_s: how long the session waits for a client whose connection was lost.
        connect_timeout_s: how long a new line may take until the client is there.
        idle_timeout_s: how long nothing may come from the client.
        recordings: the folder for the sound, for agents that record; None where nothing is recorded.
        dialect: what is said over the lines.
    """

    transport: e.Transport
    linger_s: float
    connect_timeout_s: float
    idle_timeout_s: float
    recordings: Path | None = None
    dialect: Dialect = NATIVE


def new_call_id() -> str:
    return f"call-{secrets.token_hex(8)}"


class Session(RunningCall):
    """Give it a line (`take`), then `run` it to the end; `hang_up` ends it from outside.

    A line that is lost, rather than hung up, may be followed by another one: for so long the call waits in silence, and
    what the client was not told yet is kept.

    Args:
        connection: how its lines are to be.
        record: takes the events for the call's record.
    """

    def __init__(
        self,
        agent: Agent,
        terms: Terms,
        services: Services,
        connection: Connection,
        record: Callable[[e.Envelope], None],
    ) -> None:
        super().__init__(terms.call_id or new_call_id(), self._tell, record)
        self.agent = agent
        self._connection = connection
        self._services = services
        self.dialect = connection.dialect
        clock = self._event_log.clock
        self._inbox = RateLimitedInbox(self._event_log.emit, clock, self._take_message)
        self.quality = LineQuality()
        """The quality of all lines that the call went over."""
        self.handset = Handset(
            clock, Microphone(clock), Speaker(), self.receive, press=self._press_key, report=self._note_line
        )
        self.listeners: list[Callable[[e.Envelope], None]] = []
        """Each is given every event before the client is told."""
        self._line: Line | None = None
        self._unclosed: list[Line] = []
        self._replaced = asyncio.Event()
        self._connected, self._present = asyncio.Event(), asyncio.Event()
        """Whether there ever was somebody, and whether there is now."""
        self._why_lost = "connection_lost"
        self._away_since_s: float | None = None
        self._away_s = 0.0
        self._told: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self._told_count = self._told_before = 0
        """Messages to the client, and those of before it was lost."""
        audio = Audio(self.handset.microphone, self.handset.speaker, connection.transport)
        self.call = Call(agent, terms, services, self._event_log, audio)
        self._event_log.dispatch = self.call.dispatch
        self._recorder: Recorder | None = None
        if connection.recordings and agent.recording:
            self._recorder = Recorder(connection.recordings / f"{self.call_id}.ogg", clock, self._note_unrecorded)
            self._tap(self._recorder)
            self.handset.speaker.packet_taps.append(self._recorder.sent)
        if agent.audio_levels:
            self._tap(LevelMeter(self._tell_level))

    def _tap(self, listener: Recorder | LevelMeter) -> None:
        self.handset.microphone.taps.append(listener.heard)
        self.handset.speaker.taps.append(listener.spoken)

    def _note_unrecorded(self) -> None:
        message = "The recording cannot be written; it ends here, and the call goes on."
        self._event_log.emit(e.CallWarning("recording_ended", message))

    def _press_key(self, digit: str) -> None:
        self.call.press(digit)

    def _note_line(self, counts: LineCounts) -> None:
        for event in self.quality.note(counts, self._event_log.clock()):
            self._event_log.emit(event)
        if self.call.floor:
            self.call.floor.line_is_bad = self.quality.is_bad

    def _tell_level(self, who: Literal["user", "agent"], rms: float, peak: float) -> None:
        speech = self.call.floor.speech if self.call.floor and who == "user" else None
        self._event_log.emit(e.AudioLevel(who, rms, peak, speech))

    @property
    def late_frames(self) -> int:
        """Number of frames of the agent's voice that were handed out too late."""
        return self.handset.speaker.late_frames

    @property
    def line(self) -> Line | None:
        """The current line, or the most recent one."""
        return self._line

    def take(self, line: Line, received: int | None = None) -> None:
        """Go on over this line; the one before is closed. The session owns it from now on.

        Args:
            received: how many messages the client has had; it is sent those that come after them, else those that it
                was to be told while it was away.
        """
        if self._line is not None:
            self._leave()
        for message in self._missed(received):
            line.send(message)
        self._line = line
        self._unclosed.append(line)
        self._replaced.set()

    async def run(self) -> None:
        parts = {"call": self._conduct, "line": self._keep_line, "idle": self._watch_idle}
        if self._recorder:
            parts["recorder"] = self._recorder.run
        if self.meter:
            parts["meter"] = self._pay
        await self._run(parts, self._give_back, self._last_event)

    async def _pay(self) -> None:
        def end() -> None:
            reason = "credits_exhausted"
            if self._connected.is_set():
                self.call.end(reason)
            else:
                self.hang_up(reason)

        assert self.meter
        await self.meter.run(self.call, lambda: self._event_log.clock() - (self._all_away_s() or 0.0), end)

    def person(self) -> Person:
        """Somebody who may take the call over in their own voice."""
        speaker, clock = self.handset.speaker, self.handset.clock
        return Person(self.call, self._services.engines, self._services.activity, speaker, clock)

    def receive(
        self, text: str | bytes, incoming: Callable[[str | bytes], Iterable[e.ClientMessage]] | None = None
    ) -> None:
        """Take a message of the client; what is none is answered with an error.

        Args:
            incoming: translates it; the dialect where none is given.
        """
        self.handset.microphone.last_data_s = self._event_log.clock()
        if text not in SIGNS_OF_LIFE:  # in any dialect
            self._inbox.receive(text, incoming or self.dialect.incoming)

    def _take_message(self, message: e.ClientMessage) -> None:
        if not isinstance(message, e.PlaybackAck):
            self.call.receive(message)
        elif self._line:
            self._line.acknowledge(message.buffered_s)

    def _tell(self, envelope: e.Envelope) -> None:
        for listen in self.listeners:
            listen(envelope)
        for message in self.dialect.outgoing(envelope):
            self._told.append(message)
            self._told_count += 1
            if self._line and not self._line.gone.is_set():
                self._line.send(message)

    def _missed(self, received: int | None) -> Sequence[Mapping[str, Any]]:
        since = self._told_before if received is None else received
        first_kept = self._told_count - len(self._told)
        return list(itertools.islice(self._told, max(0, since - first_kept), None))

    async def _conduct(self) -> None:
        await self._connected.wait()
        self.hang_up(await self.call.run())

    async def _keep_line(self) -> None:
        """Lines come and go; with the last one the call is over."""
        while (line := self._line) is not None:
            self._replaced.clear()
            await self._use(line)
            for old in [each for each in self._unclosed if each is line or each is not self._line]:
                await old.close()
                self._unclosed.remove(old)
            if self._line is not line:
                continue
            if line.closed_by_peer or not self._connection.linger_s:
                self.hang_up("client_hangup" if line.closed_by_peer else self._why_lost)
                return
            self._leave()
            try:
                async with asyncio.timeout(self._connection.linger_s):
                    await self._replaced.wait()
            except TimeoutError:
                self.hang_up(self._why_lost)
                return

    async def _use(self, line: Line) -> None:
        """Returns when the other side is gone, or another line takes the place of this one."""
        async with asyncio.TaskGroup() as group:
            connecting = group.create_task(self._connect(line))
            await first_of(line.run(), self._replaced.wait())
            connecting.cancel()

    async def _connect(self, line: Line) -> None:
        try:
            async with asyncio.timeout(self._connection.connect_timeout_s):
                await line.connected.wait()
        except TimeoutError:
            if not self._connected.is_set():
                self.hang_up("connect_timeout")
            line.gone.set()
            return
        self.handset.microphone.last_data_s = self._event_log.clock()
        self._why_lost = "connection_lost"
        self._connected.set()
        self._present.set()
        if self._away_since_s is not None:
            away_s = self._event_log.clock() - self._away_since_s
            self._away_s += away_s
            self._away_since_s = None
            self.call.go_on()
            self._event_log.emit(e.CallReconnected(line.transport, away_s))

    def _leave(self) -> None:
        """The client is away, if it was there."""
        if self._connected.is_set() and self._away_since_s is None:
            self._present.clear()
            self._event_log.emit(e.CallReconnecting(self._connection.linger_s))
            self._away_since_s, self._told_before = self._event_log.clock(), self._told_count
            self.call.wait()

    def _last_event(self, reason: str) -> e.CallEnded:
        return e.CallEnded(reason, self._event_log.clock(), self._all_away_s(), self.quality.whole)

    def _all_away_s(self) -> float | None:
        now_s = self._event_log.clock()
        return self._away_s + (now_s - self._away_since_s if self._away_since_s is not None else 0.0) or None

    async def _watch_idle(self) -> None:
        while True:
            await self._present.wait()
            left_s = self._connection.idle_timeout_s - (self._event_log.clock() - self.handset.microphone.last_data_s)
            if left_s > 0:
                await asyncio.sleep(left_s)
                continue
            # as with a cable that was pulled: nothing says so
            self._why_lost = "idle_timeout"
            self._present.clear()
            if self._line:
                self._line.gone.set()

    async def _give_back(self) -> None:
        logs.event(
            log,
            "call.media",
            call=self.call_id,
            late_frames=self.late_frames,
            speculations=self.call.speculations,
            wasted_speculations=self.call.wasted_speculations,
        )
        if self._line in self._unclosed:
            await self._line.flush()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(getattr(self.dialect, "close_grace_s", 0)):
                    await self._line.gone.wait()
        for line in self._unclosed:
            await line.close()
        self.handset.speaker.interrupt()
