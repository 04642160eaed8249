"""The line against a client made of aiortc: offers one after the other, both forms, coming back, and bad input."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from media_server.doors.livekit.line import RoomLine
from media_server.doors.livekit.messages import SCHEMA, decode_packet, encode_packet
from media_server.doors.livekit.participants import Room
from media_server.doors.livekit.protobuf import Codec, Message
from media_server.errors import ClientError
from media_server.rtc import Edge, Handset, Microphone, Speaker, Speech
from media_server.rtc.tracks import SpeakerTrack, received

CODEC = Codec(SCHEMA)


class Client:
    """What LiveKit's clients do, step by step."""

    def __init__(self, edge: Edge, two_connections: bool = False) -> None:
        self.began_s = time.monotonic()
        self.got: list[bytes | str] = []
        self.microphone, self.speaker = Microphone(self.clock), Speaker()
        handset = Handset(self.clock, self.microphone, self.speaker, self.got.append)
        self.line = RoomLine(edge, handset, Room("room", "ada", "desk"), [], two_connections)
        self.pc, self.theirs = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        self.voice = Speaker()
        self.answers = 0
        self.heard = asyncio.Event()
        self.packets: list[Message] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.channel: RTCDataChannel | None = None
        for pc in (self.pc, self.theirs):
            pc.on("track", self.on_track)
            pc.on("datachannel", lambda channel: channel.on("message", self.on_message))

    def clock(self) -> float:
        return time.monotonic() - self.began_s

    def on_track(self, track: MediaStreamTrack) -> None:
        self.tasks.append(asyncio.ensure_future(self.listen(track)))

    def on_message(self, data: bytes) -> None:
        self.packets.append(decode_packet(data))

    async def listen(self, track: MediaStreamTrack) -> None:
        async for samples in received(track, 48_000):
            if np.abs(samples).max() > 1000:
                self.heard.set()

    def open(self, join: Mapping[str, Any] = {}) -> None:
        self.outbox = self.line.open_socket(dict(join))

    async def next(self, name: str) -> Any:
        """The next message of this name; others are passed over."""
        async with asyncio.timeout(10):
            while True:
                data = await self.outbox.next()
                assert data is not None, f"no {name}"
                message = CODEC.decode("SignalResponse", data)
                if name in message:
                    return message[name]

    async def offer(self) -> Message:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return {"type": "offer", "sdp": self.pc.localDescription.sdp, "id": self.answers + 1}

    async def take_answer(self) -> Message:
        answer: Message = await self.next("answer")
        self.answers += 1
        assert answer["id"] == self.answers
        await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        return answer

    def open_channels(self) -> None:
        self.pc.createDataChannel("_lossy", ordered=False, maxRetransmits=0).on("message", self.on_message)
        self.channel = self.pc.createDataChannel("_reliable")
        self.channel.on("message", self.on_message)

    def send(self, **packet: Any) -> None:
        assert self.channel
        self.channel.send(encode_packet(packet))


class Agent:
    """Keeps what comes over the data channels."""

    def __init__(self) -> None:
        self.packets: list[Message | None] = []

    def move(self, line: RoomLine) -> None: ...

    def take(self, packet: Message | None) -> None:
        self.packets.append(packet)


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with Edge.open() as edge:
        yield edge


@contextlib.asynccontextmanager
async def joined(edge: Edge, two_connections: bool = False) -> AsyncIterator[Client]:
    client = Client(edge, two_connections)
    client.line.agent = Agent()
    running = asyncio.ensure_future(client.line.run())
    try:
        yield client
    finally:
        for task in client.tasks:
            task.cancel()
        await client.pc.close()
        await client.theirs.close()
        await client.line.close()
        await running
        assert not edge._callers.by_username
        assert not edge.pacer._ticking


async def until(what: Any, timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not what():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_one_connection_offers_again_and_again(edge: Edge) -> None:
    async with joined(edge) as client:
        client.open()
        join = await client.next("join")
        assert join["participant"]["identity"] == "ada"
        (agent,) = join["other_participants"]
        assert (agent["identity"], agent["kind"], agent["attributes"]["lk.agent.state"]) == (
            "agent",
            4,
            "initializing",
        )
        for kind in ("audio", "video"):
            client.pc.addTransceiver(kind, direction="recvonly")
        client.open_channels()
        await client.line.take(offer=await client.offer())
        answer = await client.take_answer()
        assert f"a=msid:{agent['sid']}|{agent['tracks'][0]['sid']} {agent['tracks'][0]['sid']}" in answer["sdp"]
        assert answer["mid_to_track_id"] == {"0": agent["tracks"][0]["sid"]}
        async with asyncio.timeout(10):
            await client.line.connected.wait()
        microphone = SpeakerTrack(client.voice, time.monotonic)
        await client.line.take(add_track={"cid": microphone.id, "source": 2})
        published = await client.next("track_published")
        sender = client.pc.addTransceiver(microphone, direction="sendonly")
        await client.line.take(offer=await client.offer())
        assert (await client.take_answer())["sdp"].count("a=sendonly") == 1
        client.line.send({"type": "hello"})
        await until(lambda: client.packets)
        assert client.packets[0]["user"] == {"payload": b'{"type":"hello"}'}
        assert client.packets[0]["participant_identity"] == "agent"
        tone = (np.sin(np.arange(96_000) / 20) * 8000).astype(np.int16)
        client.speaker.play(Speech(tone))
        await asyncio.wait_for(client.heard.wait(), 10)
        client.voice.play(Speech(tone))
        async with asyncio.timeout(10):
            async for frame in client.microphone:
                if np.abs(frame.samples).max() > 1000:
                    break
        assert (await client.next("track_subscribed")) == {"track_sid": published["track"]["sid"]}
        # muting is noted, and told
        await client.line.take(mute={"sid": published["track"]["sid"], "muted": 1})
        (caller,) = (await client.next("update"))["participants"]
        assert caller["tracks"][0]["muted"] == 1
        # unpublishing says nothing but that the section does not send any more
        sender.direction = "inactive"
        await client.line.take(offer=await client.offer())
        await client.take_answer()
        (caller,) = (await client.next("update"))["participants"]
        assert "tracks" not in caller
        assert client.pc.connectionState == "connected"


async def test_two_connections(edge: Edge) -> None:
    async with joined(edge, two_connections=True) as client:
        client.open()
        join = await client.next("join")
        assert join["subscriber_primary"] == 1
        await client.line.begin({})
        offer = await client.next("offer")
        await client.theirs.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await client.theirs.setLocalDescription(await client.theirs.createAnswer())
        answer = client.theirs.localDescription.sdp
        await client.line.take(answer={"type": "answer", "sdp": answer, "id": offer["id"]})
        client.open_channels()
        await client.line.take(offer=await client.offer())
        await client.take_answer()
        async with asyncio.timeout(10):
            await client.line.connected.wait()
        client.line.send({"type": "hello"})
        await until(lambda: client.packets)
        client.speaker.play(Speech((np.sin(np.arange(96_000) / 20) * 8000).astype(np.int16)))
        await asyncio.wait_for(client.heard.wait(), 10)
        assert client.channel
        await until(lambda: client.channel.readyState == "open")
        client.send(user={"payload": b"x"}, sequence=1)
        agent = client.line.agent
        assert isinstance(agent, Agent)
        await until(lambda: agent.packets)
        # back after the socket was lost: what arrived is not taken twice
        client.open({"reconnect": 1})
        assert (await client.next("reconnect"))["last_message_seq"] == 1
        assert len((await client.next("update"))["participants"]) == 2
        client.send(user={"payload": b"x"}, sequence=1)
        client.send(user={"payload": b"y"}, sequence=2)
        await until(lambda: len(agent.packets) > 1)
        assert [p["user"]["payload"] for p in agent.packets if p] == [b"x", b"y"]


async def test_a_first_offer_without_a_place_for_the_voice(edge: Edge) -> None:
    async with joined(edge) as client:
        client.open()
        client.open_channels()
        await client.line.take(offer=await client.offer())
        assert "mid_to_track_id" not in await client.take_answer()
        assert await client.next("media_sections_requirement") == {"num_audios": 1}
        client.pc.addTransceiver("audio", direction="recvonly")
        await client.line.take(offer=await client.offer())
        answer = await client.next("answer")
        assert answer["mid_to_track_id"] == {"1": client.line.room.voice.sid}


OFFER = "v=0\r\no=- 1 1 IN IP4 0\r\ns=-\r\nt=0 0\r\n"
BAD: dict[str, dict[str, Any]] = {
    "no description": {"offer": {}},
    "not a description": {"offer": {"sdp": "hello"}},
    "no sections": {"offer": {"sdp": OFFER}},
    "no credentials": {"offer": {"sdp": OFFER + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"}},
    "a huge description": {"offer": {"sdp": OFFER + "a=x\r\n" * 50_000}},
    "a thousand sections": {"offer": {"sdp": OFFER + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 1000}},
    "a candidate that is none": {"trickle": {"candidate_init": "{"}},
    "no candidate": {"trickle": {}},
    "a candidate of another type": {"trickle": {"candidate_init": '{"candidate": 5}'}},
    "end-to-end encryption": {"add_track": {"cid": "a", "encryption": 1}},
}


@pytest.mark.parametrize("request_", BAD.values(), ids=BAD.keys())
async def test_what_cannot_be_is_refused(edge: Edge, request_: dict[str, Any]) -> None:
    async with joined(edge) as client:
        client.open()
        with pytest.raises(ClientError) as refused:
            await client.line.take(**request_)
        client.line.fail(refused.value)
        assert await client.next("leave") == {"reason": 6}
        assert client.line.gone.is_set()


@pytest.mark.parametrize(
    "request_",
    [
        {"answer": {"sdp": "x", "id": 7}},
        {"mute": {"sid": "TR_other", "muted": 1}},
        {"mute": {}},
        {"add_track": {}},
        {"add_track": {"cid": "cam", "type": 1, "source": 1}},
        {"update_metadata": {"attributes": {"a": "x" * 5000}}},
        {"update_metadata": {"metadata": "x" * 5000}},
        {"trickle": {"candidate_init": '{"candidate": ""}'}},
        {"trickle": {"candidate_init": '{"candidate": "candidate:nonsense"}'}},
        {},
    ],
    ids=json.dumps,
)
async def test_what_is_out_of_place_changes_nothing(edge: Edge, request_: dict[str, Any]) -> None:
    async with joined(edge) as client:
        client.open()
        await client.line.take(**request_)
        await client.line.take(ping=5)
        assert await client.next("pong")
        assert not client.line.gone.is_set()


async def test_a_thousand_offers_end_the_line(edge: Edge) -> None:
    async with joined(edge) as client:
        client.open()
        client.open_channels()
        offer = await client.offer()

        async def offer_on() -> None:
            for _ in range(1000):
                await client.line.take(offer=offer)

        with pytest.raises(ClientError, match="more offers"):
            await offer_on()


async def test_sequence_numbers_of_any_kind_lose_nobody_elses_data(edge: Edge) -> None:
    async with joined(edge) as client:
        agent = client.line.agent
        assert isinstance(agent, Agent)
        for number in (2, 1, 2, -1, -(2**63), 3, 0, 3, 4):
            packet = {"user": {"payload": str(number).encode()}, "sequence": number, "participant_sid": "PA_other"}
            client.line._take_data("_reliable", encode_packet(packet))
        client.line._take_data("_lossy", encode_packet({"user": {"payload": b"lossy"}, "sequence": 1}))
        assert [p["user"]["payload"] for p in agent.packets if p] == [b"2", b"3", b"0", b"4", b"lossy"]


async def test_a_client_that_left_before_it_was_connected_may_join_anew(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media_server.doors.livekit.line.REJOINED_S", 0.05)
    async with joined(edge) as client:
        client.open()
        await client.line.take(leave={"reason": 1})
        assert not client.line.gone.is_set()
        async with asyncio.timeout(5):
            await client.line.gone.wait()
        assert client.line.closed_by_peer, "it did not"


async def test_a_client_that_says_goodbye_after_it_has_closed_has_hung_up(edge: Edge) -> None:
    async with joined(edge) as client:
        client.open()
        client.open_channels()
        client.pc.addTransceiver("audio", direction="recvonly")
        await client.line.take(offer=await client.offer())
        await client.take_answer()
        async with asyncio.timeout(10):
            await client.line.connected.wait()
        await client.pc.close()
        await until(client.line._ended.is_set)
        await client.line.take(leave={"reason": 1})
        assert client.line.gone.is_set()
        assert client.line.closed_by_peer


async def test_what_was_lost_with_a_socket_is_said_again(edge: Edge) -> None:
    async with joined(edge, two_connections=True) as client:
        client.open()
        await client.line.begin({})
        await client.line.take(add_track={"cid": "mic", "source": 2})
        # the socket is lost before any of it has arrived
        client.open({"reconnect": 1})
        await client.line.begin({"reconnect": 1})
        assert await client.next("reconnect")
        assert (await client.next("track_published"))["cid"] == "mic"
        offer = await client.next("offer")
        assert offer["id"] == 2, "the client has not answered the first one"
        await client.theirs.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await client.theirs.setLocalDescription(await client.theirs.createAnswer())
        await client.line.take(answer={"sdp": client.theirs.localDescription.sdp, "id": 2})
        async with asyncio.timeout(10):
            await client.line.connected.wait()
        # connected, nothing has to be offered anew
        client.open({"reconnect": 1})
        await client.line.begin({"reconnect": 1})
        await client.line.take(ping=1)
        messages = [CODEC.decode("SignalResponse", m) for m in client.outbox._waiting]
        assert not [m for m in messages if "offer" in m]
