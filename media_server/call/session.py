"""One session: a line and the call on it, from its first moment until the last socket is closed."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from media_server import events as e
from media_server import logs
from media_server.agents import Agent
from media_server.call.call import Audio, Call
from media_server.call.journal import Journal
from media_server.call.life import Life
from media_server.engines.client import Engines
from media_server.engines.silero import VoiceActivityModel
from media_server.errors import ClientError
from media_server.knowledge import Library
from media_server.rtc import Microphone, Recorder, Speaker

__all__ = ["NATIVE", "Dialect", "Line", "OnMessage", "Session", "new_call_id"]

log = logging.getLogger("media_server.call")


class Line(Protocol):
    """What a call goes over."""

    microphone: Microphone
    speaker: Speaker
    connected: asyncio.Event

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

    def outgoing(self, event: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        """An event as the client is sent it: any number of messages."""
        ...

    def incoming(self, text: str | bytes) -> Sequence[e.ClientMessage]:
        """What a message of the client asks for. Raises `ClientError` if it is none."""
        ...


class _Native:
    def outgoing(self, event: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        return (event,)

    def incoming(self, text: str | bytes) -> Sequence[e.ClientMessage]:
        return (e.parse_client_message(text),)


NATIVE = _Native()
SIGNS_OF_LIFE = frozenset({"ping", b"ping", '{"type":"ping"}', b'{"type":"ping"}'})


def new_call_id() -> str:
    return f"call-{secrets.token_hex(8)}"


L = TypeVar("L", bound=Line)
OnMessage = Callable[[str | bytes], None]


class Session(Generic[L]):
    """`run` it to the end; `hang_up` ends it from outside. Until it runs, who made the session closes its `line`.

    Args:
        line: makes what the call goes over, of the call's clock and of what takes the client's messages.
        record: takes the events for the call's record.
        recording: folder for the sound, if the agent records.
        dialect: what is said over the line; the native one where none is given.
        call_id: where it is settled already.
    """

    def __init__(
        self,
        agent: Agent,
        latest: Callable[[str], Agent | None],
        engines: Engines,
        library: Library,
        activity: VoiceActivityModel,
        line: Callable[[Callable[[], float], OnMessage], L],
        *,
        transport: e.Transport,
        metadata: Mapping[str, Any],
        variables: Mapping[str, str | int | float | bool],
        connect_timeout_s: float,
        idle_timeout_s: float,
        record: Callable[[Mapping[str, Any]], None],
        recording: Path | None,
        dialect: Dialect | None = None,
        call_id: str | None = None,
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.call_id = call_id or new_call_id()
        self.agent = agent
        self._connect_timeout_s = connect_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._life = Life()
        self._dialect = dialect or NATIVE
        self._journal = Journal(self.call_id, self._tell, record)
        self.line = line(self._journal.clock, self.receive)
        audio = Audio(activity, self.line.microphone, self.line.speaker, transport)
        self.call = Call(
            self.call_id,
            agent,
            latest,
            engines,
            library,
            audio,
            self._journal.emit,
            self._journal.clock,
            metadata,
            variables,
        )
        self._journal.dispatch = self.call.dispatch
        self._recorder: Recorder | None = None
        if recording and agent.recording:
            self._recorder = Recorder(recording / f"{self.call_id}.ogg", self._journal.clock)
            self.line.microphone.tap, self.line.speaker.tap = self._recorder.heard, self._recorder.spoken

    @property
    def late_frames(self) -> int:
        """Of the agent's voice: handed out too late."""
        return self.line.speaker.late_frames

    @property
    def over(self) -> bool:
        """Hung up; what is left is to give things back."""
        return self._life.over

    @property
    def reason(self) -> str:
        """Why it ended."""
        return self._life.reason

    def hang_up(self, reason: str) -> None:
        """End the call; `run` returns soon after."""
        self._life.end(reason)

    async def run(self) -> None:
        """Conduct the call and give everything back at its end, whatever ends it."""
        parts = {"call": self._conduct, "line": self._watch_line, "idle": self._watch_idle}
        if self._recorder:
            parts["recorder"] = self._recorder.run
        await self._life.run(self.call, self._journal, parts, self._give_back)

    def _tell(self, event: Mapping[str, Any]) -> None:
        for message in self._dialect.outgoing(event):
            self.line.send(message)

    async def _give_back(self) -> None:
        logs.event(
            log,
            "call.media",
            call=self.call_id,
            late_frames=self.late_frames,
            speculations=self.call.speculations,
            wasted_speculations=self.call.wasted_speculations,
        )
        await self.line.flush()
        await self.line.close()

    async def _conduct(self) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self.line.connected.wait()
        except TimeoutError:
            self.hang_up("connect_timeout")
            return
        self.line.microphone.last_data_s = self._journal.clock()
        self.hang_up(await self.call.run())

    async def _watch_line(self) -> None:
        await self.line.run()
        self.hang_up("connection_lost")

    async def _watch_idle(self) -> None:
        await self.line.connected.wait()
        while (left_s := self._idle_timeout_s - (self._journal.clock() - self.line.microphone.last_data_s)) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left_s)
        self.hang_up("idle_timeout")

    def receive(self, text: str | bytes) -> None:
        """Take a message of the client; what is none is answered with an error."""
        self.line.microphone.last_data_s = self._journal.clock()
        if text in SIGNS_OF_LIFE:
            return  # in any dialect
        try:
            for message in self._dialect.incoming(text):
                if isinstance(message, e.PlaybackAck):
                    self.line.acknowledge(message.buffered_s)
                else:
                    self.call.receive(message)
        except ClientError as refused:
            self._journal.emit(e.Error(refused.code, refused.message))
