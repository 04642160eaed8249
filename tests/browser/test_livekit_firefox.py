"""npm's newest `livekit-client`, unmodified, in Firefox: two turns by voice, and data both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from media_server.audio import CALL_RATE_HZ, Samples, write_wav
from media_server.config import Settings
from media_server.server import running_server
from tests.browser.livekit import client
from tests.browser.test_firefox import firefox
from tests.browser.test_firefox import pytestmark as pytestmark
from tests.browser.test_livekit import NEWEST
from tests.browser.test_room import OPEN, spoken
from tests.conftest import DATA, no_sessions
from tests.doors.livekit import own_token
from tests.served import served

PAGE = """<!doctype html><meta charset="utf-8"><script src="/livekit.js"></script><script type="module">
const say = (what) => fetch("/said", { method: "POST", body: JSON.stringify(what) });
// what is spoken is a recording: Firefox plays none as its fake microphone
navigator.mediaDevices.getUserMedia = async () => {
  const voice = new Audio("/spoken.wav");
  await voice.play();
  return new MediaStream(voice.mozCaptureStream().getAudioTracks());
};
try {
  const room = new LivekitClient.Room(), said = [];
  let attached;
  room.on("trackSubscribed", (track) => document.body.append(attached = track.attach()));
  room.on("dataReceived", (payload) => said.push(JSON.parse(new TextDecoder().decode(payload))));
  await room.connect("SERVER", "TOKEN");
  await room.localParticipant.setMicrophoneEnabled(true);
  const answered = (text) => said.some((m) => m.type === "agent.speech_stopped" && m.heard === text);
  const until = async (what) => { while (!what()) await new Promise((done) => setTimeout(done, 100)); };
  await until(() => said.filter((m) => m.type === "agent.speech_stopped").length >= 2);
  const typed = { type: "text.send", text: "what is one plus two" };
  await room.localParticipant.publishData(new TextEncoder().encode(JSON.stringify(typed)), { reliable: true });
  await until(() => answered("One plus two is three."));
  const heard = said.filter((m) => m.type === "user.transcript" && m.final).map((m) => m.text);
  const answers = said.filter((m) => m.type === "agent.text").map((m) => m.text);
  await say({ heard, answers, attached: attached?.srcObject !== null });
  await room.disconnect();
} catch (error) {
  await say({ error: String(error.message ?? error) });
}
</script>"""


async def test_two_turns_with_data_both_ways(tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    first, second = sentence("where is my order four two seven"), sentence("what is seven plus five")
    await asyncio.to_thread(write_wav, tmp_path / "spoken.wav", spoken(2.5, first, 8.0, second, 60.0), CALL_RATE_HZ)
    script = client(NEWEST)
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=[OPEN], agents_dir=DATA / "agents")
    async with running_server(settings) as server:
        await server.ready(60)

        async def page(_: web.Request) -> web.Response:
            text = PAGE.replace("SERVER", server.url).replace("TOKEN", await own_token(server))
            return web.Response(text=text, content_type="text/html")

        async def livekit(_: web.Request) -> web.Response:
            return web.Response(text=script, content_type="text/javascript")

        async def recording(_: web.Request) -> web.FileResponse:
            return web.FileResponse(tmp_path / "spoken.wav")

        async def take_said(request: web.Request) -> web.Response:
            said.put_nowait(await request.json())
            return web.Response()

        app = web.Application()
        app.router.add_get("/", page)
        app.router.add_get("/livekit.js", livekit)
        app.router.add_get("/spoken.wav", recording)
        app.router.add_post("/said", take_said)
        async with served(app) as site, firefox(tmp_path / "profile", f"{site}/"):
            async with asyncio.timeout(90):
                told = await said.get()
            assert "error" not in told, told
            assert told["heard"][:2] == ["where is my order four two seven", "what is seven plus five"]
            assert told["answers"][:2] == ["The status is shipped.", "Seven plus five is twelve."]
            assert told["attached"]
            await no_sessions(server, 20)
