"""A program on PyPI's `livekit`, as one writes it: commands come in as lines of JSON, what happens goes out so."""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from typing import Any

from livekit import rtc

RATE_HZ = 48_000


def tell(event: str, /, **more: Any) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


class Client:
    def __init__(self) -> None:
        self.room = rtc.Room()
        self.source = rtc.AudioSource(RATE_HZ, 1)
        self.track = rtc.LocalAudioTrack.create_audio_track("mic", self.source)
        self.sid = ""
        self.tasks: set[asyncio.Task[None]] = set()
        self.heard = 0.0
        room = self.room
        room.on("disconnected", lambda reason: tell("disconnected", reason=int(reason)))
        room.on("reconnecting", lambda: tell("reconnecting"))
        room.on("reconnected", lambda: tell("reconnected"))
        room.on("data_received", lambda p: tell("data", text=p.data.decode(), topic=p.topic))
        room.on("track_subscribed", lambda track, publication, p: self.spawn(self.listen(track, p)))
        room.on("participant_attributes_changed", lambda changed, p: tell("attributes", **dict(changed)))
        room.on("active_speakers_changed", lambda speakers: tell("speakers", who=[s.identity for s in speakers]))
        room.on("track_muted", lambda p, publication: tell("muted", who=p.identity))
        room.register_text_stream_handler("lk.transcription", lambda r, who: self.spawn(self.read(r, who)))

    def spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.done)

    def done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (failed := task.exception()):
            tell("failed", why=repr(failed))

    async def read(self, reader: Any, who: str) -> None:
        try:
            text = await reader.read_all()
        except Exception as cut:  # noqa: BLE001 - of no public type: the agent has left, and comes again
            tell("cut", why=repr(cut))
            return
        final = reader.info.attributes.get("lk.transcription_final")
        tell("transcription", who=who, text=text, final=final)

    async def listen(self, track: Any, participant: Any) -> None:
        tell(
            "subscribed", who=participant.identity, kind=int(participant.kind), attributes=dict(participant.attributes)
        )
        async for event in rtc.AudioStream(track):
            samples = memoryview(event.frame.data).cast("B").cast("h")
            loud = max(abs(s) for s in samples[::16])
            if loud > 500:
                self.heard += len(samples) / event.frame.sample_rate

    async def speak(self, path: str) -> None:
        with wave.open(path) as recording:
            data, rate = recording.readframes(recording.getnframes()), recording.getframerate()
        step = rate // 100 * 2
        resampler = rtc.AudioResampler(rate, RATE_HZ)
        for start in range(0, len(data) - step + 1, step):
            for frame in resampler.push(rtc.AudioFrame(data[start : start + step], rate, 1, step // 2)):
                await self.source.capture_frame(frame)

    async def do(self, command: dict[str, Any]) -> None:
        what = command.pop("do")
        local: Any = None if what == "connect" else self.room.local_participant
        match what:
            case "connect":
                options = rtc.RoomOptions(**command.get("options", {}))
                await self.room.connect(command["url"], command["token"], options)
                tell("connected", room=self.room.name, identity=self.room.local_participant.identity)
            case "publish":
                source = rtc.TrackSource.SOURCE_MICROPHONE
                published = await local.publish_track(self.track, rtc.TrackPublishOptions(source=source))
                self.sid = published.sid
                tell("published")
            case "speak":
                await self.speak(command["path"])
                tell("spoke")
            case "send":
                await local.publish_data(command["text"], reliable=True)
            case "chat":
                await local.send_text(command["text"], topic="lk.chat")
            case "register":
                local.register_rpc_method(command["method"], self.answer(command["answer"]))
            case "call":
                try:
                    answer = await local.perform_rpc(destination_identity="agent", **command)
                    tell("answered", payload=answer)
                except rtc.RpcError as refused:
                    tell("refused", code=refused.code, message=refused.message)
            case "mute":
                self.track.mute() if command["muted"] else self.track.unmute()
            case "attributes":
                await local.set_attributes(command["attributes"])
                tell("set")
            case "report":
                tell("report", heard=self.heard)
            case "leave":
                await self.room.disconnect()
                tell("left")

    def answer(self, answer: str) -> Any:
        async def handle(data: Any) -> str:
            tell("called", payload=data.payload)
            return answer

        return handle


async def main() -> None:
    client, loop = Client(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            await client.do(json.loads(line))
        except Exception as failed:  # noqa: BLE001 - the test is told
            tell("failed", why=repr(failed))


asyncio.run(main())
