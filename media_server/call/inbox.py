"""What clients send, at a pace that can be borne: understood, or answered with an error."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from media_server import events as e
from media_server.complexity import MAX_VALUES, values_in
from media_server.errors import ClientError

__all__ = ["RateLimitedInbox"]

MAX_RAW, PIECE, VALUES = 1000, 4096, 100
"""Messages in so many seconds that are looked at, whatever is in them; one counts once more for so many characters,
and for so many values of JSON."""
MOST, PER_S = 400, 2.0
"""Messages in so many seconds: more than a program that waits for each answer gets to. Each may cost a reply, or an
error in the call's record."""
TOLD_EVERY_S = 1.0
"""Minimum seconds between two notices that messages were dropped."""


class RateLimitedInbox:
    """Receives the messages of one conversation's clients.

    Args:
        emit: takes what is answered where something is wrong.
        clock: of the conversation, in seconds.
        take: takes each message.
    """

    def __init__(
        self,
        emit: Callable[[e.Event], object],
        clock: Callable[[], float],
        take: Callable[[e.ClientMessage], None],
    ) -> None:
        self._emit, self._clock, self._take = emit, clock, take
        self._recent: deque[float] = deque(maxlen=MOST)
        self._raw, self._raw_since_s = 0, 0.0
        self._told_at = -TOLD_EVERY_S

    def receive(self, text: str | bytes, incoming: Callable[[str | bytes], Iterable[e.ClientMessage]]) -> None:
        """Take a message as it came; `incoming` translates it."""
        # to translate what is then dropped is work as well
        values = values_in(text)
        if not self._is_looked_at(len(text), values):
            return
        try:
            if values > MAX_VALUES:
                raise ClientError("bad_message", f"The message has more than {MAX_VALUES} values.")
            for each in incoming(text):
                # some acknowledge every packet of sound
                if isinstance(each, e.PlaybackAck) or self._in_time():
                    self._take(each)
        except ClientError as refused:
            if self._in_time():
                self._emit(e.Error(refused.code, refused.message))

    def _is_looked_at(self, length: int, values: int) -> bool:
        now = self._clock()
        if now - self._raw_since_s >= PER_S:
            self._raw, self._raw_since_s = 0, now
        self._raw += 1 + length // PIECE + min(values, MAX_VALUES) // VALUES
        if self._raw <= MAX_RAW:
            return True
        self._tell(MAX_RAW)
        return False

    def _in_time(self) -> bool:
        """Whether one more can be borne."""
        now = self._clock()
        if len(self._recent) < MOST or now - self._recent[0] >= PER_S:
            self._recent.append(now)
            return True
        self._tell(MOST)
        return False

    def _tell(self, most: int) -> None:
        now = self._clock()
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            message = f"More than {most} messages in {PER_S:g} seconds: some were dropped."
            self._emit(e.Error("too_many_messages", message))
