"""One session: a peer and the call on it, from the offer until the last socket is closed."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiortc import RTCIceServer

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
from media_server.rtc import Peer, Recorder

__all__ = ["Session"]

log = logging.getLogger("media_server.call")


class Session:
    """`accept` the offer, then `run` to the end. `hang_up` ends it from outside.

    Args:
        record: takes the events for the call's record.
        recording: folder for the sound, if the agent records.
    """

    def __init__(
        self,
        agent: Agent,
        latest: Callable[[str], Agent | None],
        engines: Engines,
        library: Library,
        activity: VoiceActivityModel,
        *,
        metadata: Mapping[str, Any],
        variables: Mapping[str, str | int | float | bool],
        ice_servers: Sequence[RTCIceServer],
        connect_timeout_s: float,
        idle_timeout_s: float,
        record: Callable[[Mapping[str, Any]], None],
        recording: Path | None,
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self.call_id = f"call-{secrets.token_hex(8)}"
        self.agent = agent
        self._connect_timeout_s = connect_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._life = Life()
        self._journal = Journal(self.call_id, lambda message: self.peer.channel.send(message), record)
        self.peer = Peer(ice_servers, self._journal.clock, self._on_message)
        audio = Audio(activity, self.peer.microphone, self.peer.speaker)
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
            self.peer.microphone.tap, self.peer.speaker.tap = self._recorder.heard, self._recorder.spoken

    @property
    def late_frames(self) -> int:
        """Of the agent's voice: handed out too late."""
        return self.peer.speaker.late_frames

    async def accept(self, offer: str) -> str:
        """The answer.

        Raises:
            ClientError: the offer cannot be accepted; the session is closed then.
        """
        try:
            return await self.peer.accept(offer)
        except BaseException:
            await self.peer.close()
            raise

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
        parts = {"call": self._conduct, "peer": self._watch_peer, "idle": self._watch_idle}
        if self._recorder:
            parts["recorder"] = self._recorder.run
        await self._life.run(self.call, self._journal, parts, self._give_back)

    async def _give_back(self) -> None:
        logs.event(
            log,
            "call.media",
            call=self.call_id,
            late_frames=self.late_frames,
            speculations=self.call.speculations,
            wasted_speculations=self.call.wasted_speculations,
        )
        await self.peer.channel.flush()
        await self.peer.close()

    async def _conduct(self) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self.peer.connected.wait()
        except TimeoutError:
            self.hang_up("connect_timeout")
            return
        self.peer.microphone.last_data_s = self._journal.clock()
        self.hang_up(await self.call.run())

    async def _watch_peer(self) -> None:
        await self.peer.gone.wait()
        self.hang_up("connection_lost")

    async def _watch_idle(self) -> None:
        await self.peer.connected.wait()
        while (left_s := self._idle_timeout_s - (self._journal.clock() - self.peer.microphone.last_data_s)) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left_s)
        self.hang_up("idle_timeout")

    def _on_message(self, text: str | bytes) -> None:
        self.peer.microphone.last_data_s = self._journal.clock()
        try:
            self.call.receive(e.parse_client_message(text))
        except ClientError as refused:
            self._journal.emit(e.Error(refused.code, refused.message))
