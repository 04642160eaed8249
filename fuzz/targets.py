"""What is fuzzed: each target makes inputs, and says what may come of them. Here: what comes over a network."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import aiortc.rtp
from aioice import stun
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcsctptransport import CHUNK_TYPES, SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG, DataChunk, serialize_packet
from hypothesis import strategies as st

from fuzz import Target
from fuzz.damage import DAMAGE, damaged
from fuzz.files import FILES
from fuzz.rooms import ROOMS
from media_server.agents.numbers import number_patterns, whole
from media_server.call.inbox import RateLimitedInbox
from media_server.doors.flow.dialect import Flow
from media_server.doors.flow.dialect import parse as parse_flow
from media_server.doors.nextevi.dialect import NextEvi
from media_server.doors.pinecall import program_messages
from media_server.doors.pinecall.dialect import Pinecall, PinecallChat
from media_server.errors import ClientError
from media_server.events import parse_client_message
from media_server.http.multipart import FormParser
from media_server.jsonable import jsonable
from media_server.rtc import Edge, Handset, Microphone, Peer, Speaker
from media_server.rtc.answer import agree
from media_server.rtc.relayed import Reach, usable
from media_server.rtc.sctp import bound_messages
from media_server.rtc.sdp import Credentials, parse_fragment, parse_offer

__all__ = ["FILES", "TARGETS"]

_OFFER: list[str] = []


async def _offer() -> str:
    if not _OFFER:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.addTrack(AudioStreamTrack())
        pc.createDataChannel("events")
        await pc.setLocalDescription(await pc.createOffer())
        _OFFER.append(pc.localDescription.sdp)
        await pc.close()
    return _OFFER[0]


def _peer() -> Peer:
    def clock() -> float:
        return 0.0

    return Peer(Edge(), Handset(clock, Microphone(clock), Speaker(), lambda _: None))


async def _sdp(damage: tuple[int, int, str]) -> None:
    """Nothing but `ClientError` comes of an offer, and the peer gives everything back."""
    peer = _peer()
    try:
        await peer.accept(damaged(await _offer(), *damage))
    except ClientError:
        pass
    finally:
        await peer.close()


async def _sdp_checks(damage: tuple[int, int, str]) -> None:
    try:
        agree(parse_offer(damaged(await _offer(), *damage)))
    except ClientError:
        return


_FRAGMENT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2130706431 198.51.100.1 50000 typ srflx raddr 192.0.2.1 rport 9 generation 0\r\n"
    "a=end-of-candidates\r\n"
)


async def _trickle(damage: tuple[int, int, str]) -> None:
    try:
        usable(parse_fragment(damaged(_FRAGMENT, *damage)).candidates, Reach())
    except ClientError:
        return


async def _rtp(data: bytes) -> None:
    """What comes out of SRTP: aiortc parses it, and lets `ValueError` through alone."""
    for parse in (aiortc.rtp.RtpPacket.parse, aiortc.rtp.RtcpPacket.parse):
        try:
            parse(data)
        except ValueError:
            continue


_RTP = st.one_of(
    st.binary(max_size=1500),
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200)).map(
        lambda x: struct.pack("!BB", 0x80 | x[0] & 0x3F, x[1]) + x[2]
    ),
    st.tuples(st.integers(0, 31), st.integers(200, 206), st.integers(0, 60), st.binary(max_size=240)).map(
        lambda x: struct.pack("!BBH", 0x80 | x[0], x[1], x[2]) + x[3]
    ),
)


class _Sent:
    """A wire that goes nowhere."""

    protocol = "udp"

    def send(self, data: bytes, address: Any) -> None:
        assert data

    def proved(self) -> None:
        pass

    def release(self) -> None:
        pass


_STUN_USERNAME, _STUN_INTEGRITY = 0x0006, 0x0008
_ATTRIBUTE = st.tuples(
    st.sampled_from([0x0006, 0x0008, 0x0009, 0x0020, 0x0024, 0x0025, 0x8028, 0x8029, 0x802A, 0x7FFF, 0xC057]),
    st.integers(0, 40),
    st.binary(max_size=40),
)
_DATAGRAM = st.one_of(
    st.binary(min_size=1, max_size=1500),
    st.tuples(
        st.sampled_from([0x0001, 0x0101, 0x0111, 0x0011, 0x0003]),
        st.booleans(),
        st.lists(_ATTRIBUTE, max_size=12),
        st.binary(max_size=6),
    ),
)


async def _datagram(what: bytes | tuple[int, bool, list[tuple[int, int, bytes]], bytes]) -> None:
    """What comes to the port of all calls, from somebody who knows a call's name and password or does not."""
    edge, wire = Edge(), _Sent()
    if isinstance(what, bytes):
        edge.received(wire, what, ("192.0.2.1", 5000))
        return
    kind, authentic, attributes, rest = what
    link: Any = edge.link(None, Credentials("efgh", "0123456789012345678901"), lambda _: True)
    try:
        local = link.generation.local
        body = _attribute(_STUN_USERNAME, f"{local.username}:efgh".encode())
        body += b"".join(_attribute(number, value, length) for number, length, value in attributes)
        message = struct.pack("!HHL12s", kind, len(body), stun.COOKIE, bytes(12)) + body
        if authentic:
            proof = stun.message_integrity(message, local.password.encode())
            message = stun.set_body_length(message + _attribute(_STUN_INTEGRITY, proof), len(body) + 24)
        edge.received(wire, message + rest, ("192.0.2.1", 5000))
    finally:
        await link.close()


def _attribute(number: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("!HH", number, len(value) if length is None else length) + value + bytes(-len(value) % 4)


async def _sctp(packets: list[tuple[int, int, bytes]]) -> None:
    """Packets of a peer that has finished DTLS: a connection may end of them (`ConnectionError`), and nothing else."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.createDataChannel("events")
    assert pc.sctp
    sctp: Any = pc.sctp
    sctp._last_received_tsn, sctp._remote_port = 0, 5000
    bound_messages(sctp)

    async def nothing(*_: object) -> None:
        pass

    # what it answers goes nowhere: there is no DTLS
    sctp._send_chunk = nothing
    try:
        for tsn, (kind, flags, body) in enumerate(packets, 1):
            if kind == 0:
                chunk = DataChunk(flags=flags & (SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG))
                chunk.tsn, chunk.stream_id, chunk.stream_seq = tsn + (flags >> 6), flags & 1, 0
                chunk.protocol, chunk.user_data = 50 + (flags & 7), body
                data = serialize_packet(5000, 5000, sctp._local_verification_tag, chunk)
            else:
                padded = body + bytes(-len(body) % 4)
                raw = struct.pack("!BBH", kind, flags, 4 + len(body)) + padded
                data = _with_checksum(struct.pack("!HHLL", 5000, 5000, sctp._local_verification_tag, 0) + raw)
            await sctp._handle_data(data)
    except ConnectionError:
        pass
    finally:
        await pc.close()


def _with_checksum(packet: bytes) -> bytes:
    from google_crc32c import value

    return packet[:8] + struct.pack("<L", value(packet)) + packet[12:]


_SCTP = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, *CHUNK_TYPES]), st.integers(0, 255), st.binary(max_size=400)), max_size=30
)

_WORDS = [
    "type", "event", "message", "action", "text", "agent.say", "text.send", "session.update", "playback.ack", "ping",
    "user.mute", "turn.end", "call.end", "tool.result", "context.set", "buffered_s", "turns", "muted", "id", "result",
    "connect", "agent.create", "agent_id", "tools", "function", "parameters", "prompt", "llm", "session.configure",
    "StartConversation", "conversation_config", "template_id", "template_variables", "AddInput", "input", "AudioEnded",
    "ToolResult", "audio_input", "session_settings", "data", "configure", "greeting", "bot.reply", "call_id", "role",
    "system", "user", "llm.chat", "tool_calls", "arguments", "$ref", "$defs", "properties", "items", "maxLength",
    "pattern", "enum", "anyOf", "\u0000", "\ud800", "\u202e", "__class__",
]  # fmt: skip
_LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.sampled_from(_WORDS),
    st.sampled_from([2**63, -(2**63), 10**400, 1e308, 0.1, ""]),
)  # fmt: skip
_TREE = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=25,
)
_MESSAGE = st.one_of(
    _TREE.map(lambda tree: json.dumps(tree)),
    st.dictionaries(st.sampled_from(_WORDS), _TREE, max_size=8).map(json.dumps),
    st.text(max_size=300),
    st.binary(max_size=300),
    st.integers(1, 60_000).map(lambda n: "[" * n),
    st.integers(1, 20_000).map(lambda n: '{"a":' * n),
)


async def _messages(message: str | bytes) -> None:
    """A message of a client in every dialect: understood, or `ClientError`."""
    for parse in (parse_client_message, parse_flow, program_messages.parse):
        try:
            parse(message)
        except ClientError:
            continue
    refused = program_messages.refusal(program_messages.about(message), ClientError("x", "no"), {})
    assert json.dumps(refused, ensure_ascii=False).encode()
    for dialect in (Flow(), NextEvi("x", "y", ""), Pinecall(), PinecallChat(False)):
        inbox = RateLimitedInbox(lambda _: None, lambda: 0.0, lambda _: None)
        inbox.receive(message, dialect.incoming)


async def _json(tree: Any) -> None:
    """What agents' code hands over goes over every wire."""
    json.dumps(jsonable(tree), allow_nan=False).encode()


_FORM = st.lists(
    st.sampled_from(
        [b"--XX", b"--XX--", b"\r\n", b"\r\n\r\n", b"\n", b"--", b"X", b'Content-Disposition: form-data; name="file"']
    )
    | st.binary(max_size=40)
    | st.sampled_from([b"\r\n", b"\r\n--X", b"-", b"A: b\r\n"]).map(lambda odd: odd * 20_000),
    max_size=20,
)


async def _forms(pieces: list[bytes]) -> None:
    """Forms of uploads: parts, or `ValueError`."""
    form = FormParser(b"XX")
    try:
        for piece in [b"--XX\r\n", *pieces]:
            for item in form.feed(piece):
                assert item
    except ValueError:
        return


_ATOM = st.sampled_from(
    [
        r"\d",
        "[0-9]",
        "1",
        "x",
        "(",
        ")",
        "(?:",
        "|",
        "?",
        "*",
        "+",
        "{2,9}",
        "{0,40}",
        "{3}",
        ".",
        "^",
        "$",
        "[^a]",
        "(?x)",
        " ",
    ]
)
_PATTERN = st.lists(_ATOM, max_size=60).map("".join) | st.tuples(
    st.lists(_ATOM, max_size=4).map("".join), st.integers(1, 40), st.sampled_from(["", "x", "$"])
).map(lambda p: p[0] * p[1] + p[2])


async def _patterns(pattern: str) -> None:
    """Patterns of tools that clients bring: they are used, or they are not."""
    found = list(number_patterns([{"properties": {"number": {"type": "string", "pattern": pattern}}}]))
    whole("1234567", found)


TARGETS: Mapping[str, Target] = {
    "offers": (DAMAGE, _sdp),
    "checks of offers": (DAMAGE, _sdp_checks),
    "trickled fragments": (DAMAGE, _trickle),
    "datagrams": (_DATAGRAM, _datagram),
    "RTP and RTCP": (_RTP, _rtp),
    "SCTP": (_SCTP, _sctp),
    "messages of clients": (_MESSAGE, _messages),
    "what code hands over": (_TREE, _json),
    "forms": (_FORM, _forms),
    "patterns of tools": (_PATTERN, _patterns),
    **ROOMS,
    **FILES,
}
