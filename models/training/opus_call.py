"""Recordings through real calls on this machine: WebRTC, Opus, RTP, jitter buffer, and out again at 16 kHz."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples, resample
from media_server.rtc import Speaker, Speech
from media_server.rtc.tracks import SpeakerTrack, received

GAP_S = 0.6
CALLS = 16
ENVELOPE = 160


async def _one(clips: list[Samples]) -> list[Samples]:
    gap = np.zeros(int(GAP_S * MODEL_RATE_HZ), np.int16)
    pieces, places, at = [gap], [], len(gap)
    for clip in clips:
        places.append(at)
        pieces += [clip, gap]
        at += len(clip) + len(gap)
    sent = np.concatenate(pieces)
    out: list[Samples] = []
    sender, receiver = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    started, done = asyncio.Event(), asyncio.Event()

    async def record(track: MediaStreamTrack) -> None:
        async for samples in received(track, MODEL_RATE_HZ):
            out.append(samples)
            started.set()
            if sum(map(len, out)) > len(sent) + MODEL_RATE_HZ:
                done.set()
                return

    tasks: list[asyncio.Task[None]] = []
    receiver.on("track", lambda track: tasks.append(asyncio.create_task(record(track))))
    speaker = Speaker()
    sender.addTrack(SpeakerTrack(speaker, time.monotonic))
    try:
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(sender.localDescription)
        await receiver.setLocalDescription(await receiver.createAnswer())
        await sender.setRemoteDescription(receiver.localDescription)
        await started.wait()
        speaker.play(Speech(resample(sent, MODEL_RATE_HZ, CALL_RATE_HZ)))
        await done.wait()
    finally:
        speaker.interrupt()
        await asyncio.gather(sender.close(), receiver.close())
        await asyncio.gather(*tasks, return_exceptions=True)
    got = np.concatenate(out)
    shift = _delay(sent, got)
    return [got[max(0, p + shift - 3200) : p + shift + len(c) + 3200] for p, c in zip(places, clips, strict=True)]


def _delay(sent: Samples, got: Samples) -> int:
    """By how many samples `got` is later: where the loudness curves fit best."""

    def curve(x: Samples) -> np.ndarray:
        n = len(x) // ENVELOPE * ENVELOPE
        level = np.log1p(np.abs(x[:n].astype(np.float32)).reshape(-1, ENVELOPE).mean(1))
        return np.asarray(level - level.mean())

    a, b = curve(sent), curve(got)
    size = 1 << (len(a) + len(b)).bit_length()
    fit = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    return int(np.argmax(fit[: len(b)])) * ENVELOPE


def through_calls(clips: list[Samples]) -> list[Samples]:
    """The clips (16 kHz) as the other side of a call hears them, in order; takes the time that the longest call takes."""

    async def all_calls() -> list[list[Samples]]:
        return await asyncio.gather(*(_one(clips[i::CALLS]) for i in range(min(CALLS, len(clips)))))

    calls = asyncio.run(all_calls())
    out: list[Samples] = [np.zeros(0, np.int16)] * len(clips)
    for i, heard in enumerate(calls):
        out[i::CALLS] = heard
    return out
