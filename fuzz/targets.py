"""What is fuzzed: each target makes inputs, and says what may come of them."""

from __future__ import annotations

import json
import random
import struct
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiortc.rtp
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtcsctptransport import CHUNK_TYPES, SCTP_DATA_FIRST_FRAG, SCTP_DATA_LAST_FRAG, DataChunk, serialize_packet
from hypothesis import strategies as st

from media_server.agents import AgentRegistry
from media_server.agents.numbers import number_patterns, whole
from media_server.call.inbox import RateLimitedInbox
from media_server.doors.flow.dialect import Flow
from media_server.doors.flow.dialect import parse as parse_flow
from media_server.doors.nextevi.dialect import NextEvi
from media_server.doors.pinecall import program_messages
from media_server.doors.pinecall.dialect import Pinecall, PinecallChat
from media_server.errors import ClientError, ConfigurationError, MediaServerError
from media_server.events import parse_client_message
from media_server.http.multipart import FormParser
from media_server.jsonable import jsonable
from media_server.packs.examining import examine
from media_server.paths import BUNDLED_MODELS
from media_server.rtc import Edge, Handset, Microphone, Peer, Speaker
from media_server.rtc.answer import agree
from media_server.rtc.relayed import Reach, usable
from media_server.rtc.sctp import bound_messages
from media_server.rtc.sdp import parse_fragment, parse_offer

__all__ = ["FILES", "TARGETS", "Target"]

Target = tuple[st.SearchStrategy[Any], Callable[[Any], Awaitable[None]]]

STARTER = BUNDLED_MODELS / "starter"
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


def _damaged(text: str, seed: int, times: int, words: str) -> str:
    """Some of its lines dropped, doubled, cut, swapped, or with another number or word in them."""
    chance = random.Random(seed)
    lines = text.splitlines()
    for _ in range(times):
        i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(8):
            case 0:
                lines[i] = ""
            case 1:
                lines.insert(i, lines[j])
            case 2:
                lines[i] = lines[i][: chance.randrange(len(lines[i]) + 1)]
            case 3:
                lines[i], lines[j] = lines[j], lines[i]
            case 4:
                lines[i] = lines[i][:2] + words
            case 5:
                parts = lines[i].split(" ")
                parts[chance.randrange(len(parts))] = str(chance.choice([-1, 0, 1, 255, 65535, 65536, 2**31, 2**64]))
                lines[i] = " ".join(parts)
            case 6:
                lines[i] = lines[i].replace(":", words, 1)
            case _:
                lines += [lines[i]] * chance.randrange(200)
        lines = lines or [""]
    return "\r\n".join(lines)


_DAMAGE = st.tuples(st.integers(0, 2**32), st.integers(1, 6), st.text(max_size=40))


async def _sdp(damage: tuple[int, int, str]) -> None:
    """Nothing but `ClientError` comes of an offer, and the peer gives everything back."""
    peer = _peer()
    try:
        await peer.accept(_damaged(await _offer(), *damage))
    except ClientError:
        pass
    finally:
        await peer.close()


async def _sdp_checks(damage: tuple[int, int, str]) -> None:
    try:
        agree(parse_offer(_damaged(await _offer(), *damage)))
    except ClientError:
        return


_FRAGMENT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1 1 udp 2130706431 198.51.100.1 50000 typ srflx raddr 192.0.2.1 rport 9 generation 0\r\n"
    "a=end-of-candidates\r\n"
)


async def _trickle(damage: tuple[int, int, str]) -> None:
    try:
        usable(parse_fragment(_damaged(_FRAGMENT, *damage)).candidates, Reach())
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


_HARM = st.lists(st.tuples(st.integers(0, 2**32), st.binary(min_size=1, max_size=16)), min_size=1, max_size=8)


def _harmed(whole: bytes, harm: list[tuple[int, bytes]]) -> bytes:
    """Some bytes at the beginning, where the head is, or anywhere, overwritten; or the end cut off."""
    data = bytearray(whole)
    for at, piece in harm:
        if at % 5 == 0:
            del data[at % (len(data) + 1) :]
        else:
            start = at % min(len(data) or 1, 4096 if at % 2 else len(data) or 1)
            data[start : start + len(piece)] = piece
    return bytes(data)


async def _gguf(harm: list[tuple[int, bytes]]) -> None:
    """A damaged language model: read for what it is, or a sentence for the operator."""
    await _examined("model.gguf", "chat/starter-chat.gguf", harm)


async def _whisper(harm: list[tuple[int, bytes]]) -> None:
    """A damaged recogniser, or one with a damaged file beside it."""
    names = ("model.bin", "config.json", "tokenizer.json", "vocabulary.json")
    await _examined(names[harm[0][0] % len(names)], f"stt/{names[harm[0][0] % len(names)]}", harm, "stt")


async def _piper(harm: list[tuple[int, bytes]]) -> None:
    """A voice whose description is damaged."""
    name = "starter-voice.onnx.json"
    await _examined(name, f"voice/{name}", harm, "voice")


async def _examined(name: str, original: str, harm: list[tuple[int, bytes]], beside: str = "") -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        folder.mkdir()
        for other in (STARTER / beside).iterdir() if beside else ():
            (folder / other.name).symlink_to(other.resolve())
        (folder / name).unlink(missing_ok=True)
        whole = (STARTER / original).read_bytes()
        # the head is what is read; the rest is only measured
        (folder / name).write_bytes(_harmed(whole[: 2**20], harm))
        what = folder / name if name.endswith(".gguf") else folder
        what = folder / "starter-voice.onnx" if beside == "voice" else what
        try:
            examine(what)
        except MediaServerError:
            return


_AGENT = """
name = "desk"
prompt = "You are {{name}}."
greeting = "Hello."
language = "en"
max_duration_s = 60
interruptions = "careful"
[variables]
name = "Ada"
[[tools]]
name = "look"
description = "look"
"""


async def _agents(damage: tuple[int, int, str]) -> None:
    """Files of agents: an agent, or a sentence that says what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "desk.toml").write_text(_damaged(_AGENT, *damage), encoding="utf-8", errors="replace")
        try:
            problems = AgentRegistry().load(Path(folder))
            assert all(str(each) for each in problems)
        except ConfigurationError:
            return


TARGETS: Mapping[str, Target] = {
    "offers": (_DAMAGE, _sdp),
    "checks of offers": (_DAMAGE, _sdp_checks),
    "trickled fragments": (_DAMAGE, _trickle),
    "RTP and RTCP": (_RTP, _rtp),
    "SCTP": (_SCTP, _sctp),
    "messages of clients": (_MESSAGE, _messages),
    "what code hands over": (_TREE, _json),
    "forms": (_FORM, _forms),
    "patterns of tools": (_PATTERN, _patterns),
    "files of agents": (_DAMAGE, _agents),
    "language models": (_HARM, _gguf),
    "recognisers": (_HARM, _whisper),
    "voices": (_HARM, _piper),
}
FILES = frozenset({"files of agents", "language models", "recognisers", "voices"})
"""Targets that an operator's commands read, and not the event loop of a server."""
