"""An event with its place in its call, and its native form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from media_server.events.agent import ToolCalled, ToolReturned
from media_server.events.model import Event
from media_server.jsonable import jsonable, sound

__all__ = ["Envelope", "kept", "settled"]

T = TypeVar("T")
NEVER = -1
"""The number of an event that no call emitted: the server notes it afterwards."""


@dataclass(frozen=True)
class Envelope:
    """An event of a call, `settled`.

    Args:
        seq: counts a call's events from 0; `NEVER` for the end of a call that was not conducted to it.
        time: seconds since the call began.
    """

    call_id: str
    seq: int
    time: float
    event: Event

    @cached_property
    def wire(self) -> Mapping[str, Any]:
        """The native form, made once. Optional fields that have no value are left out."""
        place = {} if self.seq == NEVER else {"seq": self.seq, "time": self.time}
        return {"type": self.event.type, "call_id": self.call_id, **place, **_fields(self.event)}

    @classmethod
    def afterwards(cls, call_id: str, event: Event) -> Envelope:
        """An event that the server notes of a call which was not conducted to its end."""
        return cls(call_id, NEVER, 0.0, settled(event))

    @cached_property
    def kept(self) -> Envelope:
        """The same without what may be kept nowhere: arguments and results of ephemeral tools."""
        event = kept(self.event)
        return self if event is self.event else dataclasses.replace(self, event=event)


def kept(event: Event) -> Event:
    """The event without what may be kept nowhere."""
    match event:
        case ToolCalled(ephemeral=True):
            return dataclasses.replace(event, arguments=None)
        case ToolReturned(ephemeral=True):
            return dataclasses.replace(event, result=None)
        case _:
            return event


def settled(value: T) -> T:
    """An event whose times and probabilities have three places, and whose texts every wire and database can hold."""
    return _settled(value)  # type: ignore[no-any-return]


def _settled(value: Any) -> Any:
    match value:
        case float():
            return round(value, 3)
        case str():
            return sound(value)
        case tuple():
            return tuple(_settled(v) for v in value)
        case Mapping():
            return jsonable(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            given = {
                f.name: (jsonable if f.metadata.get("foreign") else _settled)(getattr(value, f.name))
                for f in dataclasses.fields(value)
            }
            return type(value)(**given)
        case _:
            return value


def _fields(value: Any) -> dict[str, Any]:
    found = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return {k: v for k, v in found.items() if v is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return _fields(value) if dataclasses.is_dataclass(value) else value
