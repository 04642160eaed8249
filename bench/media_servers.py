"""The servers that the media benchmark measures, each in a process of its own that does nothing but its calls' media.

    python -m bench.media_servers ours|aiortc [--speaks] [--keeps]

They take one JSON object a line on standard input and answer each with one on standard output. Each call's sound comes
out as 16 kHz mono, and where a server `speaks`, it says the same speech in every call without end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import fractions
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil

from bench.media_sounds import Kept, speech
from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, frame_of

__all__ = ["KINDS", "Child", "Figures", "running"]

KINDS = ("ours", "aiortc")
LINE = 1 << 20
"""Bytes of a line; what was kept goes through files."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a server has used and done so far."""

    cpu_s: float
    system_s: float
    encoding_s: float
    """CPU of the thread that encodes speech, where there is one."""
    heard_s: float
    """Sound of all calls, without what was made up for losses."""
    memory_mb: float
    descriptors: int
    threads: int


@dataclass(slots=True)
class Heard:
    """What came of one call's microphone."""

    seconds: float = 0.0
    pieces: list[tuple[float, Samples]] = field(default_factory=list)

    def add(self, samples: Samples, keeps: bool) -> None:
        self.seconds += len(samples) / MODEL_RATE_HZ
        if keeps:
            self.pieces.append((time.monotonic(), samples))


class Server(Protocol):
    """One that is measured."""

    async def answer(self, call: str, offer: str) -> str: ...

    async def hang_up(self, call: str) -> None: ...

    def interrupt(self) -> None:
        """Stop speaking in all calls."""
        ...

    def heard_s(self, call: str) -> float: ...

    def kept(self, call: str) -> list[tuple[float, Samples]]: ...

    async def encoding_s(self) -> float: ...


class Ours:
    """This project's media edge, with a listener that takes what it hears and nothing else."""

    def __init__(self, edge: Any, speaks: bool, keeps: bool) -> None:
        self._edge, self._speaks, self._keeps = edge, speaks, keeps
        self._heard: dict[str, Heard] = {}
        self._peers: dict[str, Any] = {}
        self._speakers: dict[str, Any] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}

    async def answer(self, call: str, offer: str) -> str:
        from media_server.rtc import Handset, Microphone, Peer, Speaker

        microphone, speaker = Microphone(time.monotonic), Speaker()
        peer = Peer(self._edge, Handset(time.monotonic, microphone, speaker, lambda message: None))
        heard = self._heard[call] = Heard()
        self._peers[call], self._speakers[call] = peer, speaker
        # where it is kept the decoder's time counts, not that of the listener, which is woken for 32 ms at a time
        if self._keeps:
            microphone.taps.append(lambda frame: heard.add(frame.samples, True))

        async def listen() -> None:
            async for frame in microphone:
                if not self._keeps:
                    heard.add(frame.samples, False)

        async def speak() -> None:
            from media_server.rtc import Speech

            await peer.connected.wait()
            before = speaker.play(Speech(speech()))
            while True:
                following = speaker.play(Speech(speech()))
                await before.finished.wait()
                before = following

        text = await peer.accept(offer)
        self._tasks[call] = [asyncio.create_task(each) for each in (peer.run(), listen())]
        if self._speaks:
            self._tasks[call].append(asyncio.create_task(speak()))
        return text

    async def hang_up(self, call: str) -> None:
        await self._peers.pop(call).close()
        tasks = self._tasks.pop(call)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        del self._speakers[call], self._heard[call]

    def interrupt(self) -> None:
        for call, speaker in self._speakers.items():
            self._tasks[call][-1].cancel()
            speaker.interrupt()

    def heard_s(self, call: str) -> float:
        media = self._peers[call]._media
        return float(media.reception.played_s + media.reception.restored_s) if media else 0.0

    def kept(self, call: str) -> list[tuple[float, Samples]]:
        return self._heard[call].pieces

    async def encoding_s(self) -> float:
        return await asyncio.get_running_loop().run_in_executor(self._edge.pacer.encoders, time.thread_time)


class Plain:
    """aiortc as its own examples use it: a track that is read and resampled, and a track that speaks."""

    def __init__(self, speaks: bool, keeps: bool) -> None:
        self._speaks, self._keeps = speaks, keeps
        self._silent = False
        self._heard: dict[str, Heard] = {}
        self._connections: dict[str, Any] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def answer(self, call: str, offer: str) -> str:
        from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
        from aiortc.mediastreams import MediaStreamError

        connection = self._connections[call] = RTCPeerConnection()
        heard = self._heard[call] = Heard()
        plain = self

        async def listen(track: Any) -> None:
            import av

            resampler = av.AudioResampler(format="s16", layout="mono", rate=MODEL_RATE_HZ)
            with contextlib.suppress(MediaStreamError):
                while True:
                    for frame in resampler.resample(await track.recv()):
                        heard.add(frame.to_ndarray()[0], plain._keeps)

        class Voice(MediaStreamTrack):
            kind = "audio"

            def __init__(self) -> None:
                super().__init__()
                self._frames = 0
                self._began_s = time.monotonic()

            async def recv(self) -> Any:
                await asyncio.sleep(max(0.0, self._began_s + self._frames * 0.02 - time.monotonic()))
                at = self._frames * 960 % (len(speech()) - 960)
                samples = np.zeros(960, np.int16) if plain._silent else speech()[at : at + 960]
                frame = frame_of(samples, CALL_RATE_HZ)
                frame.pts, frame.time_base = self._frames * 960, fractions.Fraction(1, CALL_RATE_HZ)
                self._frames += 1
                return frame

        def on_track(track: Any) -> None:
            self._tasks[call] = asyncio.create_task(listen(track))

        connection.on("track", on_track)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if self._speaks:
            connection.addTrack(Voice())
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    async def hang_up(self, call: str) -> None:
        await self._connections.pop(call).close()
        task = self._tasks.pop(call)
        task.cancel()
        await asyncio.wait([task])
        del self._heard[call]

    def interrupt(self) -> None:
        self._silent = True

    def heard_s(self, call: str) -> float:
        return self._heard[call].seconds

    def kept(self, call: str) -> list[tuple[float, Samples]]:
        return self._heard[call].pieces

    async def encoding_s(self) -> float:
        return 0.0


@contextlib.asynccontextmanager
async def opened(kind: str, speaks: bool, keeps: bool) -> AsyncIterator[Server]:
    if kind == "aiortc":
        yield Plain(speaks, keeps)
        return
    from media_server.memory import settle_memory
    from media_server.rtc.edge import Edge

    async with Edge.open() as edge:
        settle_memory()  # as the whole server does once it is ready
        yield Ours(edge, speaks, keeps)


async def serve(kind: str, speaks: bool, keeps: bool) -> None:
    """Do what comes in line by line, until the input ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    speech()
    async with opened(kind, speaks, keeps) as server:
        calls: list[str] = []
        while line := await lines.readline():
            print(json.dumps(await _done(server, calls, json.loads(line))), flush=True)


async def _done(server: Server, calls: list[str], order: dict[str, Any]) -> dict[str, Any]:
    match order["do"]:
        case "answer":
            calls.append(order["call"])
            return {"answer": await server.answer(order["call"], order["offer"])}
        case "hang up":
            calls.remove(order["call"])
            await server.hang_up(order["call"])
        case "interrupt":
            at_s = time.time()
            server.interrupt()
            return {"at_s": at_s}
        case "heard":
            return {"at_s": time.monotonic(), "heard_s": {call: server.heard_s(call) for call in calls}}
        case "keep":
            pieces = server.kept(order["call"])
            np.savez(
                order["file"],
                samples=np.concatenate([np.zeros(0, np.int16), *(samples for _, samples in pieces)]),
                lengths=[len(samples) for _, samples in pieces],
                handed_on_s=[at_s for at_s, _ in pieces],
            )
        case "figures":
            this = psutil.Process()
            used = this.cpu_times()
            return {
                "cpu_s": used.user + used.system,
                "system_s": used.system,
                "encoding_s": await server.encoding_s(),
                "heard_s": sum(server.heard_s(call) for call in calls),
                "memory_mb": this.memory_info().rss / 1e6,
                "descriptors": this.num_fds(),
                "threads": this.num_threads(),
            }
    return {}


class Child:
    """One server's process, from the benchmark's side."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._asking = asyncio.Lock()
        self._calls = 0

    async def do(self, what: str, **more: Any) -> dict[str, Any]:
        """Have it do something.

        Raises:
            ConnectionError: it is gone.
        """
        assert self._process.stdin
        assert self._process.stdout
        async with self._asking:
            self._process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
            line = await self._process.stdout.readline()
        if not line:
            raise ConnectionError("the measured server has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def new_call(self) -> str:
        self._calls += 1
        return str(self._calls)

    async def answer(self, call: str, offer: str) -> str:
        return str((await self.do("answer", call=call, offer=offer))["answer"])

    async def figures(self) -> Figures:
        return Figures(**await self.do("figures"))

    async def kept(self, call: str, folder: Path) -> Kept:
        file = folder / f"{call}.npz"
        await self.do("keep", call=call, file=str(file))
        with np.load(file) as found:
            return Kept(found["samples"], found["lengths"].tolist(), found["handed_on_s"].tolist())


@contextlib.asynccontextmanager
async def running(
    kind: str, *, speaks: bool = False, keeps: bool = False, profile: str = "", niceness: int = 0
) -> AsyncIterator[Child]:
    """A fresh server of one kind, while the block runs.

    Raises:
        PermissionError: a negative niceness is for root alone.
    """
    options = [*(["--speaks"] if speaks else []), *(["--keeps"] if keeps else [])]
    options += ["--profile", profile] if profile else []
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.media_servers", kind, *options,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE,
    )  # fmt: skip
    assert process.stdin
    try:
        if niceness:
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
        yield Child(process)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("kind", choices=KINDS)
    ap.add_argument("--speaks", action="store_true", help="say something in every call, without end")
    ap.add_argument("--keeps", action="store_true", help="keep what is heard, with the time of each piece")
    ap.add_argument("--profile", help="write the functions' times there, for pstats")
    args = ap.parse_args()
    logging.disable(logging.CRITICAL)
    profile = cProfile.Profile()
    with profile if args.profile else contextlib.nullcontext():
        asyncio.run(serve(args.kind, args.speaks, args.keeps))
    if args.profile:
        profile.dump_stats(args.profile)


if __name__ == "__main__":
    main()
