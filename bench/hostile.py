"""What strangers can do to a server, and how it bears it: `python -m bench.hostile`.

A server is started as an operator would start it, with the usual limit of 1024 open files, and attacked at its doors
one after the other. For each attack: the longest that the event loop worked without a turn for others (its own CPU:
what else the machine does is left out), its longest gap, the longest that a request for `/healthz` took, how late a
packet was of a call in which the agent reads out a long text meanwhile (by the kernel's times of arrival, behind the
packet before it), the server's memory and descriptors before and after, and how much was logged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import math
import os
import re
import resource
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aioice import stun
from aiortc import RTCCertificate

from bench.media_callers import Arrival, LightCaller, sending
from bench.media_sounds import quiet_packets
from media_server.audio import CALL_RATE_HZ
from media_server.caller import Caller
from media_server.doors.livekit.messages import ONEOFS, SCHEMA
from media_server.doors.livekit.protobuf import Codec

__all__ = ["ATTACKS", "Attacked", "Outcome", "attack", "attacked_server", "frame"]

DESCRIPTORS = 1024
SHORT = {
    "MEDIA_SERVER_CONNECT_TIMEOUT_S": "3",
    "MEDIA_SERVER_RECONNECT_S": "0.5",
    "MEDIA_SERVER_CHAT_LINGER_S": "0.5",
    "MEDIA_SERVER_IDLE_TIMEOUT_S": "5",
}
"""Waits of the server for clients that are gone."""
READER = "reader"
TEXT_READ = " ".join(["The office in the town hall is open from nine in the morning to six in the evening."] * 40)
TEXT, BINARY, PING, PONG = 1, 2, 9, 10
FLOW_START = json.dumps(
    {"message": "StartConversation", "conversation_config": {"template_id": "default", "template_variables": {}}}
).encode()


@dataclass
class Attacked:
    """A server that is attacked."""

    url: str
    process: psutil.Process
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def gaps(self) -> tuple[float, float]:
        """The loop's longest gap and its longest work since this was last asked, in seconds."""
        async with aiohttp.ClientSession(self.url) as http, http.get("/metrics") as answer:
            text = await answer.text()
        found = [re.search(rf"media_server_loop_longest_{what}_seconds ([\d.e+-]+)", text) for what in ("gap", "work")]
        return tuple(float(each[1]) if each else 0.0 for each in found)  # type: ignore[return-value]

    async def settled(self) -> None:
        """Wait until all calls are over."""
        async with aiohttp.ClientSession(self.url) as http:
            for _ in range(600):
                async with http.get("/metrics") as answer:
                    if "media_server_calls 0.0" in await answer.text():
                        return
                await asyncio.sleep(0.1)


@dataclass
class Outcome:
    """How a server bore an attack."""

    work_s: float
    gap_s: float
    health_s: float
    late_s: float
    """How far a packet of a call that speaks came behind its time."""
    memory_mb: tuple[float, float]
    descriptors: tuple[int, int]
    log_kb: float


@contextlib.asynccontextmanager
async def attacked_server(folder: Path, *options: str, **environment: str) -> AsyncIterator[Attacked]:
    """A server in a process of its own."""
    log, agents = folder / "server.log", folder / "agents"
    agents.mkdir(exist_ok=True)
    reader = f'[[agents]]\nname = "{READER}"\ngreeting = "{TEXT_READ}"\nidle_s = 0\n'
    (agents / f"{READER}.toml").write_text(reader)
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "media_server.cli", "serve", str(agents), *options,
            "--port", "0", "--log-format", "json",
            stdout=asyncio.subprocess.PIPE, stderr=errors, cwd=folder,
            env=os.environ | {"MEDIA_SERVER_DATABASE": f"sqlite:///{folder}/x.sqlite"} | SHORT | environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)),
        )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            while b"Ready" not in (line := await process.stdout.readline()):
                assert line, log.read_text()
        url = next(word for word in line.decode().split() if word.startswith("http://"))
        yield Attacked(url, psutil.Process(process.pid), log)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(30):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _answered_by(server: Attacked, agent: str) -> Callable[[str], Awaitable[str]]:
    """What begins a call with an agent, and returns the answer to its offer."""

    async def answer(offer: str) -> str:
        async with (
            aiohttp.ClientSession(server.url) as http,
            http.post("/v1/sessions", json={"type": "offer", "agent": agent, "sdp": offer}) as response,
        ):
            response.raise_for_status()
            return str((await response.json())["sdp"])

    return answer


@contextlib.asynccontextmanager
async def speaking_call(server: Attacked) -> AsyncIterator[LightCaller]:
    """A call in which the agent reads out a long text."""
    caller = LightCaller(RTCCertificate.generateCertificate(), quiet_packets(), timed=True)
    await caller.connect(_answered_by(server, READER))
    try:
        async with sending([caller]), asyncio.timeout(None) as patience:
            patience.reschedule(asyncio.get_running_loop().time() + 20)
            while caller.received < 25:  # noqa: ASYNC110 - half a second of sound, of which nothing tells
                await asyncio.sleep(0.1)
            patience.reschedule(None)
            yield caller
    finally:
        await caller.close()


def lateness_s(arrivals: Sequence[Arrival]) -> float:
    """The most that a packet came behind its time, as the packet before it sets that."""
    late = (
        after.at_s - before.at_s - ((after.time - before.time) & 0xFFFFFFFF) / CALL_RATE_HZ
        for before, after in pairwise(arrivals)
    )
    return max(late, default=math.inf)


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """A WebSocket frame of a client (RFC 6455 section 5.2), with a mask of zeros."""
    n = len(payload)
    length = (
        bytes([0x80 | n])
        if n < 126
        else b"\xfe" + n.to_bytes(2, "big")
        if n < 65536
        else b"\xff" + n.to_bytes(8, "big")
    )
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


@contextlib.asynccontextmanager
async def raw_socket(server: Attacked, path: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A WebSocket of which one writes the bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    writer.write(head.encode() + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in answer, answer
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def flood(
    path: str | Callable[[Attacked], Awaitable[str]], what: bytes, first: bytes = b""
) -> Callable[[Attacked, float], Awaitable[None]]:
    """An attack that sends the same frame over and over; `path` is asked for each connection where that is needed."""

    async def run(server: Attacked, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(OSError, EOFError):
                address = path if isinstance(path, str) else await path(server)
                async with raw_socket(server, address) as (reader, writer):
                    if first:
                        writer.write(frame(TEXT, first))
                    reading = asyncio.ensure_future(reader.read(-1))
                    with contextlib.suppress(OSError):
                        while time.monotonic() < until and not reading.done():
                            writer.write(what * max(1, 60_000 // len(what)))
                            await writer.drain()
                            await asyncio.sleep(0)
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
            await asyncio.sleep(0.05)

    return run


async def room(server: Attacked) -> str:
    """Where a client of LiveKit's joins: each token is good for one call."""
    wanted = {"agent": "assistant", "kind": "livekit"}
    async with aiohttp.ClientSession(server.url) as http, http.post("/v1/tokens", json=wanted) as answer:
        answer.raise_for_status()
        return f"/rtc?access_token={(await answer.json())['token']}"


async def compressed(server: Attacked, _: float) -> None:
    """Bodies of 200 MB of one letter, compressed to 200 KB."""
    bomb = gzip.compress(b"x" * 200_000_000, 9)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}

    async def one(http: aiohttp.ClientSession) -> None:
        with contextlib.suppress(aiohttp.ClientError):
            async with http.post(
                "/v1/sessions", data=bomb, headers=headers, skip_auto_headers=["Accept-Encoding"]
            ) as r:
                assert r.status in (413, 415), r.status

    async with aiohttp.ClientSession(server.url) as http:
        await asyncio.gather(*(one(http) for _ in range(5)))


def held(said: bytes, count: int) -> Callable[[Attacked, float], Awaitable[None]]:
    """An attack that opens connections, says this, and waits."""

    async def run(server: Attacked, seconds: float) -> None:
        writers = []
        for _ in range(count):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(said)
                writers.append(writer)
        await asyncio.sleep(seconds)
        for writer in writers:
            writer.transport.abort()

    return run


async def half_open(server: Attacked, _: float) -> None:
    """Offers of callers that never come, 60 at once."""
    from aiortc import RTCConfiguration, RTCPeerConnection
    from aiortc.mediastreams import AudioStreamTrack

    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTrack(AudioStreamTrack())
    await pc.setLocalDescription(await pc.createOffer())
    offer = {"agent": "assistant", "type": "offer", "sdp": pc.localDescription.sdp}
    await pc.close()
    async with aiohttp.ClientSession(server.url) as http:

        async def one() -> int:
            async with http.post("/v1/sessions", json=offer) as answer:
                return answer.status

        statuses = await asyncio.gather(*(one() for _ in range(60)))
    assert set(statuses) <= {201, 503}, statuses


async def restarts(server: Attacked, _: float) -> None:
    """Fifty ICE restarts of one call at once."""
    async with Caller(server.url) as caller, aiohttp.ClientSession(server.url) as http:
        address = f"/v1/sessions/{caller.session_id}"

        async def one(i: int) -> int:
            body = f"a=ice-ufrag:u{i:03}\r\na=ice-pwd:{'p' * 24}\r\na=mid:0\r\n"
            headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*"}
            async with http.patch(address, data=body, headers=headers) as answer:
                return answer.status

        statuses = await asyncio.gather(*(one(i) for i in range(50)))
    assert set(statuses) <= {200, 204, 409, 412}, statuses


def media_ports(caller: Caller) -> dict[str, tuple[str, int]]:
    """Where the server takes calls' packets: an address for UDP and one for TCP."""
    found = re.findall(r"a=candidate:\S+ 1 (udp|tcp) \d+ (\d+\.\d+\.\d+\.\d+) (\d+)", caller.pc.remoteDescription.sdp)
    return {protocol: (host, int(port)) for protocol, host, port in found}


async def packets(server: Attacked, seconds: float) -> None:
    """Packets of strangers to the port of all calls, of every kind that it takes."""
    until = time.monotonic() + seconds
    async with Caller(server.url) as caller:
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        check.attributes["USERNAME"] = "nobody:them"
        check.add_message_integrity(b"wrong")
        kinds = [
            bytes(check),
            b"\x00" * 1400,
            b"\x16\xfe\xfd" + bytes(200),
            b"\x80\x6f" + bytes(170),
            b"\x80\xc8" + bytes(60),
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.connect(media_ports(caller)["udp"])
            while time.monotonic() < until:
                for data in kinds * 20:
                    stranger.send(data)
                await asyncio.sleep(0.01)


async def sound(server: Attacked, seconds: float) -> None:
    """A caller that sends its sound as fast as it can."""
    caller = LightCaller(RTCCertificate.generateCertificate(), quiet_packets())
    await caller.connect(_answered_by(server, "assistant"))
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for _ in range(50):
                caller.send_next()
            await asyncio.sleep(0.005)
    finally:
        await caller.close()


async def media_connections(server: Attacked, seconds: float) -> None:
    """Connections to the TCP port of all calls: silent ones, and ones that say what no caller says."""
    async with Caller(server.url) as caller:
        writers = []
        for i in range(400):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(*media_ports(caller)["tcp"])
                if i % 2:
                    writer.write(b"\xff\xff" + bytes(1000))
                writers.append(writer)
        await asyncio.sleep(seconds)
        for writer in writers:
            writer.transport.abort()


async def come_and_go(server: Attacked, seconds: float) -> None:
    """Callers that come and go: by hanging up, by asking for it, and by vanishing."""
    for i in range(max(6, int(seconds * 10))):
        async with Caller(server.url) as caller:
            if i % 3 == 1:
                caller.send(type="call.end")
                await caller.wait_for("call.ended")
            elif i % 3 == 2:
                async with aiohttp.ClientSession(server.url) as http:
                    (await http.delete(f"/v1/sessions/{caller.session_id}")).release()


def over_the_channel(text: str, at_a_time: int) -> Callable[[Attacked, float], Awaitable[None]]:
    """An attack that sends a message over a data channel over and over."""

    async def run(server: Attacked, seconds: float) -> None:
        until = time.monotonic() + seconds
        async with Caller(server.url) as caller:
            channel: Any = caller._channel
            while time.monotonic() < until and channel.readyState == "open":
                for _ in range(at_a_time):
                    with contextlib.suppress(Exception):
                        channel.send(text)
                await asyncio.sleep(0.01)

    return run


VOICE, CHAT = "/v1/voice?agent=assistant", "/v1/chat?agent=assistant"
ACK = b'{"type":"playback.ack","buffered_s":0.1}'
SAY = json.dumps({"type": "agent.say", "text": "[" * 3000}).encode()
CONNECT = b'{"event":"connect"}'
ATTACKS: dict[str, Callable[[Attacked, float], Awaitable[None]]] = {
    "compressed bodies": compressed,
    "silent connections": held(b"", 1100),
    "halves of heads": held(b"GET / HTTP/1.1\r\nHo", 600),
    "halves of bodies": held(b"POST /v1/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{", 600),
    "voice: empty sound": flood(VOICE, frame(BINARY)),
    "voice: tiny sound": flood(VOICE, frame(BINARY, b"ab")),
    "voice: empty text": flood(VOICE, frame(TEXT)),
    "voice: acknowledgements": flood(VOICE, frame(TEXT, ACK)),
    "voice: pings": flood(VOICE, frame(PING, b"x")),
    "voice: pongs": flood(VOICE, frame(PONG)),
    "voice: to say": flood(VOICE, frame(TEXT, SAY)),
    "voice: nonsense": flood(VOICE, frame(TEXT, b"[" * 60_000)),
    "chat: empty text": flood(CHAT, frame(TEXT)),
    "chat: text": flood(CHAT, frame(TEXT, b'{"type":"text.send","text":"hi"}')),
    "programs: empty text": flood("/client", frame(TEXT), CONNECT),
    "programs: pings": flood("/client", frame(TEXT, b'{"event":"ping"}'), CONNECT),
    "events: empty text": flood("/v1/events", frame(TEXT)),
    "events: pings": flood("/v1/events", frame(TEXT, b'{"action":"ping"}')),
    "flow: empty sound": flood("/v1/flow", frame(BINARY), FLOW_START),
    "flow: nonsense": flood("/v1/flow", frame(TEXT, b"{}"), FLOW_START),
    "nextevi: empty sound": flood("/ws/voice/x?config_id=assistant", frame(BINARY)),
    "nextevi: large nonsense": flood("/ws/voice/y?config_id=assistant", frame(TEXT, b"[" * 14_000_000)),
    "rooms: empty messages": flood(room, frame(BINARY)),
    "rooms: pings": flood(room, frame(BINARY, Codec(SCHEMA, ONEOFS).encode("SignalRequest", {"ping": 1}))),
    "rooms: nonsense": flood(room, frame(BINARY, b"\xff" * 1000)),
    "channel: pings": over_the_channel('{"type":"ping"}', 200),
    "channel: acknowledgements": over_the_channel(ACK.decode(), 200),
    "channel: long messages": over_the_channel("x" * 250_000, 1),
    "half-open offers": half_open,
    "ICE restarts": restarts,
    "media: packets": packets,
    "media: connections": media_connections,
    "media: sound": sound,
    "come and go": come_and_go,
}


async def attack(server: Attacked, name: str, seconds: float) -> Outcome:
    """Attack a server, and see how it bears it."""
    slowest = 0.0
    await server.gaps()
    before = server.process.memory_info().rss, server.process.num_fds(), server.log.stat().st_size

    async def watch() -> None:
        nonlocal slowest
        async with aiohttp.ClientSession(server.url) as http:
            while True:
                began = time.monotonic()
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get("/healthz") as answer:
                        assert answer.status == 200
                    slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(0.05)

    async with speaking_call(server) as caller:
        watching = asyncio.create_task(watch())
        await server.gaps()
        caller.arrivals.clear()
        try:
            await ATTACKS[name](server, seconds)
            gap_s, work_s = await server.gaps()
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        late_s = lateness_s(caller.arrivals)
    await server.settled()
    after = server.process.memory_info().rss, server.process.num_fds(), server.log.stat().st_size
    return Outcome(
        work_s,
        gap_s,
        slowest,
        late_s,
        (before[0] / 2**20, after[0] / 2**20),
        (before[1], after[1]),
        (after[2] - before[2]) / 1024,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each attack (3)")
    parser.add_argument("attacks", nargs="*", help="names of attacks, or their beginnings; all without")
    args = parser.parse_args()
    names = [name for name in ATTACKS if not args.attacks or any(name.startswith(each) for each in args.attacks)]
    with tempfile.TemporaryDirectory() as folder:
        async with attacked_server(Path(folder)) as server:
            print(
                f"{'attack':<28}{'loop ms':>9}{'gap ms':>9}{'health ms':>11}{'sound ms':>10}"
                f"{'MB':>14}{'descriptors':>14}{'log KB':>9}"
            )
            for name in names:
                o = await attack(server, name, args.seconds)
                memory = f"{o.memory_mb[0]:.0f} → {o.memory_mb[1]:.0f}"
                print(
                    f"{name:<28}{o.work_s * 1000:>9.0f}{o.gap_s * 1000:>9.0f}{o.health_s * 1000:>11.0f}"
                    f"{o.late_s * 1000:>10.0f}{memory:>14}"
                    f"{f'{o.descriptors[0]} → {o.descriptors[1]}':>14}{o.log_kb:>9.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    asyncio.run(main())
