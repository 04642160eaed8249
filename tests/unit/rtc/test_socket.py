"""A caller over a WebSocket: what is sent when, in which form, and what of it counts as heard."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import numpy as np
import pytest

from media_server.audio import CALL_RATE_HZ, MODEL_RATE_HZ, Samples
from media_server.rtc import Handset, Microphone, PcmFormat, SocketLine, SocketWire, Speaker, Speech, socket


class Client:
    """Takes what the line sends, with the times."""

    def __init__(self, wire: SocketWire) -> None:
        clock = self.clock = asyncio.get_running_loop().time
        self.speaker, self.microphone = Speaker(), Microphone(clock)
        self.line = SocketLine(Handset(clock, self.microphone, self.speaker, lambda _: None), wire)
        self.came: list[tuple[float, str | bytes]] = []
        self.over = asyncio.Event()

    async def read(self) -> None:
        while (item := await self.line.next()) is not None:
            self.came.append((self.clock(), item))
        self.over.set()

    @property
    def sound(self) -> bytes:
        return b"".join(item for _, item in self.came if isinstance(item, bytes))


@contextlib.asynccontextmanager
async def connected(wire: SocketWire) -> AsyncIterator[Client]:
    client = Client(wire)
    tasks = [asyncio.create_task(client.line.run()), asyncio.create_task(client.read())]
    try:
        yield client
    finally:
        await client.line.close()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)


def tone(seconds: float) -> Samples:
    return (np.sin(2 * np.pi * 300 * np.arange(int(seconds * CALL_RATE_HZ)) / CALL_RATE_HZ) * 9000).astype(np.int16)


@pytest.mark.parametrize(
    "voice",
    [PcmFormat(), PcmFormat(24_000), PcmFormat(8000, encoding="mulaw"), PcmFormat(16_000, encoding="pcm_f32le")],
)
async def test_the_voice_comes_whole_in_the_clients_form_a_little_ahead(voice: PcmFormat) -> None:
    async with connected(SocketWire(voice=voice)) as client:
        said = client.speaker.play(Speech(tone(0.5)))
        await said.finished.wait()
        await asyncio.sleep(0.1)
        samples = voice.decode(client.sound)[:, 0]
        assert len(samples) / voice.rate_hz == pytest.approx(0.5, abs=0.03)
        assert np.sqrt(np.mean(samples[voice.rate_hz // 10 : -voice.rate_hz // 10].astype(float) ** 2)) > 5000
        first_s, last_s = client.came[0][0], client.came[-1][0]
        assert last_s - first_s < 0.45, "ahead of real time"
        assert last_s - first_s > 0.2, "but not by more than the lead"


async def test_silence_is_not_sent() -> None:
    async with connected(SocketWire()) as client:
        await asyncio.sleep(0.15)
        assert not client.came


async def test_packets_have_the_length_that_the_client_wants() -> None:
    async with connected(SocketWire(packet_s=0.1, lead_s=1.0)) as client:
        said = client.speaker.play(Speech(tone(0.5)))
        await said.finished.wait()
        await asyncio.sleep(0.1)
        lengths = [len(item) / 2 / MODEL_RATE_HZ for _, item in client.came]
        assert len(lengths) in (5, 6)
        assert lengths[0] == pytest.approx(0.1, abs=0.021)


async def test_the_end_of_speech_is_sent_with_its_last_frame() -> None:
    async with connected(SocketWire(packet_s=0.1, lead_s=0.2)) as client:
        await client.speaker.play(Speech(tone(0.26))).finished.wait()
        await asyncio.sleep(0.005)
        count = len(client.came)
        assert sum(len(item) / 2 / MODEL_RATE_HZ for _, item in client.came) == pytest.approx(0.26, abs=0.015)
        await asyncio.sleep(0.1)
        assert len(client.came) == count, "nothing of it comes later"


async def test_sound_is_packed_and_pieces_come_as_clips() -> None:
    def packed(data: bytes) -> str:
        return json.dumps({"n": len(data)})

    async with connected(SocketWire(packed=packed)) as client:
        await client.speaker.play(Speech(tone(0.1))).finished.wait()
        await asyncio.sleep(0.05)
        assert sum(json.loads(item)["n"] for _, item in client.came) > 2000
    async with connected(SocketWire(clip=lambda samples: bytes(len(samples) // 480))) as client:
        began_s = client.clock()
        await client.speaker.play(Speech(tone(0.3))).finished.wait()
        assert client.clock() - began_s > 0.2, "its time is kept here"
        assert [item for _, item in client.came] == [bytes(30)]


async def test_what_the_client_has_still_to_play_is_not_heard_yet() -> None:
    async with connected(SocketWire(lead_s=0.2)) as client:
        said = client.speaker.play(Speech(tone(1.0)))
        await said.started.wait()
        await asyncio.sleep(0.3)
        assert 0.05 < client.speaker.buffered() < 0.35
        client.line.acknowledge(5.0)
        assert client.speaker.buffered() == pytest.approx(5.0, abs=0.1)
        client.line.acknowledge(-1.0)
        assert client.speaker.buffered() == 0
    assert client.speaker.buffered() == 0, "nobody listens any more"


async def test_messages_and_sound_keep_their_order() -> None:
    async with connected(SocketWire()) as client:
        client.line.send({"type": "a", "text": "ä"})
        client.line.send({"type": "b"})
        await asyncio.sleep(0.05)
        assert [item for _, item in client.came] == ['{"type":"a","text":"ä"}', '{"type":"b"}']


async def test_a_client_that_does_not_read_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "TOO_MUCH", 1000)
    client = Client(SocketWire())
    running = asyncio.create_task(client.line.run())
    for _ in range(20):
        client.line.send({"text": "x" * 100})
    assert client.line.gone.is_set()
    async with asyncio.timeout(1):
        await running
    await client.line.close()


@pytest.mark.parametrize("size", [1, 3, 7, 640])
async def test_half_a_sample_waits_for_its_other_half(size: int) -> None:
    async with connected(SocketWire()) as client:
        heard: list[Samples] = []
        client.microphone.taps.append(lambda frame: heard.append(frame.samples))
        samples = np.arange(1, 1601).astype(np.int16)
        data = samples.tobytes()
        for at in range(0, len(data), size):
            await client.line.hear(data[at : at + size])
        await client.line.heard_all()
        assert np.concatenate(heard).tolist() == samples.tolist()
