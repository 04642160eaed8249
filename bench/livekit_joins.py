"""Many callers over LiveKit's wire: who joins, publishes, hears the agent and is heard.

    python -m bench.livekit_joins --light --calls 100 --at-once 100
    pip install livekit
    python -m bench.livekit_joins --calls 100 --at-once 5

Each joins with a token of its own, publishes at once, and leaves when it has heard the agent's greeting and the server
says that its sound has come. The table says how many did not get that far, and how long it took. The callers are those
of LiveKit's own Python package, whose codecs run here: more of them at once than the machine can bear say nothing about
the server. `--light` has callers that decode nothing in their place.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiortc import RTCCertificate

from bench.livekit_light import LightRoomCaller
from bench.media_sounds import quiet_packets
from bench.server import measured_server

RATE_HZ, STEP_S = 48_000, 0.01
LOUD = 500
"""Amplitude from which a sample is no silence."""
AGENT = """greeting = "Hello there, and welcome to all of you."
greeting_interruptible = false
"""
STAGES = ("joined", "published", "connected", "was heard", "heard the agent")


class Caller:
    """One caller; `times` says when it came how far, in seconds since it began."""

    def __init__(self, rtc: Any) -> None:
        self.times: dict[str, float] = {}
        self._rtc = rtc
        self._room = rtc.Room()
        self._source = rtc.AudioSource(RATE_HZ, 1)
        self._began_s = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = asyncio.Event()

    async def call(self, http: aiohttp.ClientSession, url: str, patience_s: float) -> None:
        """Join, publish, and stay until it hears and is heard."""
        rtc = self._rtc
        async with http.post("/v1/tokens", json={"agent": "greeter", "kind": "livekit"}) as response:
            token = (await response.json())["token"]
        self._room.on("track_subscribed", lambda track, *_: self._start(self._listen(track)))
        try:
            async with asyncio.timeout(patience_s):
                await self._room.connect(url, token)
                self._note("joined")
                track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                publication = await self._room.local_participant.publish_track(track, options)
                self._note("published")
                self._start(self._speak())
                await publication.wait_for_subscription()
                self._note("was heard")
                await self._heard.wait()
        except Exception as failed:  # noqa: BLE001 - the table says how far it came
            print(f"{type(failed).__name__}: {failed}; came to {list(self.times)}", file=sys.stderr)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._room.disconnect()

    def _note(self, stage: str) -> None:
        self.times.setdefault(stage, time.monotonic() - self._began_s)

    def _start(self, work: Any) -> None:
        self._tasks.append(asyncio.ensure_future(work))

    async def _speak(self) -> None:
        count = int(RATE_HZ * STEP_S)
        tone = (np.sin(np.arange(count) * 2 * np.pi * 400 / RATE_HZ) * 6000).astype(np.int16).tobytes()
        while True:
            await self._source.capture_frame(self._rtc.AudioFrame(tone, RATE_HZ, 1, count))

    async def _listen(self, track: Any) -> None:
        async for event in self._rtc.AudioStream(track):
            samples = np.frombuffer(event.frame.data, np.int16)
            if np.abs(samples.astype(np.int32)).max() > LOUD:
                self._note("heard the agent")
                self._heard.set()
                return


async def light(http: aiohttp.ClientSession, certificate: RTCCertificate, patience_s: float) -> dict[str, float]:
    """How far a caller came that decodes nothing."""
    async with http.post("/v1/tokens", json={"agent": "greeter", "kind": "livekit"}) as response:
        token = (await response.json())["token"]
    caller = LightRoomCaller(certificate, quiet_packets())
    try:
        async with asyncio.timeout(patience_s):
            await caller.call(http, token)
    except Exception as failed:  # noqa: BLE001 - the table says how far it came
        print(f"{type(failed).__name__}: {failed}; came to {list(caller.times)}", file=sys.stderr)
    return caller.times


async def measure_light(url: str, calls: int, at_once: int, patience_s: float) -> list[dict[str, float]]:
    """How far all callers came that decode nothing."""
    certificate, room = RTCCertificate.generateCertificate(), asyncio.Semaphore(at_once)
    quiet_packets()

    async def one(http: aiohttp.ClientSession) -> dict[str, float]:
        async with room:
            return await light(http, certificate, patience_s)

    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http:
        return list(await asyncio.gather(*(one(http) for _ in range(calls))))


async def measure(url: str, calls: int, at_once: int, patience_s: float) -> list[dict[str, float]]:
    """How far all of them came."""
    from livekit import rtc

    found: list[dict[str, float]] = []
    left = iter(range(calls))

    async def one_after_the_other(http: aiohttp.ClientSession) -> None:
        for _ in left:
            caller = Caller(rtc)
            await caller.call(http, url, patience_s)
            found.append(caller.times)

    async with aiohttp.ClientSession(url) as http:
        await asyncio.gather(*(one_after_the_other(http) for _ in range(at_once)))
    return found


async def run(args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "greeter.toml").write_text(AGENT)
        async with measured_server(folder, "--max-calls", str(2 * args.at_once)) as server:
            how = measure_light if args.light else measure
            found = await how(server.url, args.calls, args.at_once, args.patience)
    print(f"{'':18}{'callers':>10}{'without':>10}{'median s':>10}{'slowest s':>10}")
    for stage in STAGES:
        times = sorted(each[stage] for each in found if stage in each)
        if not times and args.light:
            continue
        middle, last = (times[len(times) // 2], times[-1]) if times else (0.0, 0.0)
        print(f"{stage:18}{len(times):>10}{args.calls - len(times):>10}{middle:>10.1f}{last:>10.1f}")
    return int(any("heard the agent" not in each or "was heard" not in each for each in found))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--calls", type=int, default=100)
    ap.add_argument("--light", action="store_true", help="callers that decode nothing, in place of LiveKit's own")
    ap.add_argument("--at-once", type=int, default=5)
    ap.add_argument("--patience", type=float, default=30.0, help="seconds that a caller waits for all of it")
    sys.exit(asyncio.run(run(ap.parse_args())))


if __name__ == "__main__":
    main()
