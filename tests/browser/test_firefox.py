"""A real Firefox in a call, as its own page would be: its fake microphone, and its own word of what it hears."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from media_server.call import Session
from media_server.config import Settings
from media_server.rtc import Edge, Peer
from media_server.rtc.link import Link
from media_server.rtc.wires import Address, Udp, Wire
from media_server.server import running_server
from tests.browser.firefox import firefox, needs_firefox
from tests.browser.test_room import OPEN
from tests.conftest import no_sessions
from tests.served import served

PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import { VoiceSession } from "SERVER/static/voice-session.js";
const say = (what) => fetch("/said", { method: "POST", body: JSON.stringify(what) });
const call = new VoiceSession({ agent: "open", server: "SERVER", transport: "webrtc" });
try {
  await call.connect();
  let keys = "";
  call.addEventListener("user.dtmf", (e) => (keys += e.detail.digit));
  call.line.sender.dtmf.insertDTMF("42#");
  await new Promise((resolve) => call.addEventListener("user.transcript", resolve, { once: true }));
  call.sendText("what is seven plus five");
  call.addEventListener("agent.speech_stopped", async (e) => {
    if (!e.detail.heard.startsWith("Seven")) return;
    const heard = [...(await call.line.pc.getStats()).values()].find((s) => s.type === "inbound-rtp");
    await say({ heard: e.detail.heard, keys, packets: heard.packetsReceived });
  });
} catch (error) {
  await say({ error: String(error.message ?? error) });
}
</script>"""

pytestmark = needs_firefox


@pytest.mark.parametrize("udp", ["UDP", "UDP is blocked"])
async def test_firefox_holds_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, udp: str) -> None:
    received = Edge.received
    if udp == "UDP is blocked":

        def take(own: Edge, wire: Wire, data: bytes, address: Address) -> None:
            if not isinstance(wire, Udp):
                received(own, wire, data, address)

        monkeypatch.setattr(Edge, "received", take)
        monkeypatch.setattr(Udp, "send", lambda *_: None)
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    heard: list[int] = []
    settings = Settings(port=0, database=f"sqlite:///{tmp_path}/x.sqlite", agents=[OPEN])
    async with running_server(settings) as server:
        await server.ready(60)

        async def page(_: web.Request) -> web.Response:
            return web.Response(text=PAGE.replace("SERVER", server.url), content_type="text/html")

        async def take_said(request: web.Request) -> web.Response:
            (session,) = server.sessions._by_id.values()
            assert isinstance(session, Session)
            session.handset.microphone.taps.append(lambda frame: heard.append(len(frame.samples)))
            said.put_nowait(await request.json())
            return web.Response()

        app = web.Application()
        app.router.add_get("/", page)
        app.router.add_post("/said", take_said)
        async with served(app) as site, firefox(tmp_path / "profile", f"{site}/"):
            async with asyncio.timeout(60):
                told = await said.get()
            assert told.get("heard") == "Seven plus five is twelve.", told
            assert told["packets"] > 20
            assert told["keys"] == "42#"
            (session,) = server.sessions._by_id.values()
            assert isinstance(session, Session)
            assert isinstance(session.line, Peer)
            assert isinstance(session.line.link, Link)
            assert session.line.link.selected
            assert session.line.link.selected[0].protocol == ("udp" if udp == "UDP" else "tcp")
            async with asyncio.timeout(10):
                while sum(heard) < 8000:  # noqa: ASYNC110 - half a second of the microphone
                    await asyncio.sleep(0.05)
        server.sessions.hang_up_all()
        await no_sessions(server)
