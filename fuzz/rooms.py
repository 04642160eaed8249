"""LiveKit's wire, whose messages are no JSON: requests of a client, packets over data channels, and joining."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from fuzz import Target
from media_server.doors.livekit.agent import AgentParticipant
from media_server.doors.livekit.joining import parse_join
from media_server.doors.livekit.messages import ONEOFS, SCHEMA, decode_packet, decode_request
from media_server.doors.livekit.participants import Participant, Room
from media_server.doors.livekit.protobuf import Codec, Message, WireError
from media_server.errors import ClientError
from media_server.events import ClientMessage

__all__ = ["ROOMS"]

CODEC = Codec(SCHEMA, ONEOFS)
_WORDS = ["lk.chat", "lk-chat-topic", "lk.transcription", "a", "text/plain", '{"type": "ping"}', "\x00", "😀"]
_VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "s": st.sampled_from(_WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    "b": st.binary(max_size=40) | st.just(b'{"type": "text.send", "text": "hello"}'),
    "i": st.integers(0, 3) | st.integers(0, 2**64 - 1),
    "f": st.floats(width=32),
    "m": st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.just("x"), max_size=3),
}


def _message(name: str, depth: int = 0) -> st.SearchStrategy[Message]:
    """A message of this kind with some of its fields."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for field, (_, kind) in SCHEMA[name].items():
        one = kind.removesuffix("*")
        if one not in _VALUES and depth == 3:
            continue
        value = _VALUES[one] if one in _VALUES else _message(one, depth + 1)
        fields[field] = st.lists(value, max_size=3) if kind.endswith("*") else value
    return st.fixed_dictionaries({}, optional=fields)


def _bytes(name: str) -> st.SearchStrategy[bytes]:
    """Such a message as bytes: whole, cut, or with other bytes in it."""
    whole = _message(name).map(lambda message: CODEC.encode(name, message))
    cut = st.tuples(whole, st.integers(0, 400), st.binary(max_size=8)).map(lambda x: x[0][: x[1]] + x[2])
    return whole | cut | st.binary(max_size=300)


class _Line:
    def __init__(self) -> None:
        self.room = Room("room", "ada", "desk")
        self.agent: AgentParticipant | None = None
        self.leave_reason = 0

    def send_packet(self, participant: Participant | None = None, /, **packet: Any) -> None:
        CODEC.encode("DataPacket", packet)

    def tell(self, *participants: Participant) -> None:
        for each in participants:
            CODEC.encode("ParticipantInfo", each.info())


class _Call:
    def receive(
        self, text: str | bytes, incoming: Callable[[str | bytes], Iterable[ClientMessage]] | None = None
    ) -> None:
        try:
            assert incoming is None or list(incoming(text)) is not None
        except ClientError:
            return


async def _packets(packets: list[bytes]) -> None:
    """Packets of a client's data channels: taken, passed over, or refused."""
    agent = AgentParticipant(_Call(), _Line(), True)  # type: ignore[arg-type]
    for data in packets:
        try:
            agent.take(decode_packet(data))
        except WireError:
            agent.take(None)


async def _requests(data: bytes) -> None:
    try:
        decode_request(data)
    except WireError:
        return


async def _joining(what: tuple[bytes, bool, int]) -> None:
    """What an address says of how to join: wishes, or `ClientError`."""
    request, zipped, cut = what
    body = zlib.compress(request, wbits=16 + zlib.MAX_WBITS)[:cut] if zipped else request
    wrapped = CODEC.encode("WrappedJoinRequest", {"compression": int(zipped), "join_request": body})
    for shown in (wrapped, request):
        try:
            parse_join({"join_request": base64.urlsafe_b64encode(shown).decode()})
        except ClientError:
            continue


ROOMS: Mapping[str, Target] = {
    "requests to rooms": (_bytes("SignalRequest"), _requests),
    "packets to rooms": (st.lists(_bytes("DataPacket"), max_size=6), _packets),
    "joining rooms": (st.tuples(_bytes("JoinRequest"), st.booleans(), st.integers(0, 400)), _joining),
}
