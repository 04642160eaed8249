"""Run in a namespace that reaches the server through `nat.py` alone: a browser calls, and says how it went."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import async_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.firefox import firefox
from tests.browser.nat import HTTP, OUTSIDE
from tests.served import served

URL = f"http://{OUTSIDE}:{HTTP}"
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import { VoiceSession } from "SERVER/static/voice-session.js";
const say = (what) => fetch("/said", { method: "POST", body: JSON.stringify(what) });
const call = new VoiceSession({ agent: "open", server: "SERVER", transport: "webrtc" });
const stats = async () => [...(await call.line.pc.getStats()).values()];
const packets = async () => (await stats()).find((s) => s.type === "inbound-rtp")?.packetsReceived ?? 0;
const answer = (text) => new Promise((resolve) => {
  call.addEventListener("agent.speech_stopped", (e) => resolve(e.detail.heard), { once: true });
  call.sendText(text);
});
try {
  await call.connect();
  const first = await answer("what is seven plus five");
  const all = await stats();
  const pair = all.find((s) => s.type === "candidate-pair" && s.state === "succeeded" && (s.selected ?? s.nominated));
  const protocol = all.find((s) => s.id === pair?.remoteCandidateId)?.protocol;
  await fetch("/REBIND", { method: "POST" });
  const before = await packets();
  const began = performance.now();
  while ((await packets()) === before) await new Promise((resolve) => setTimeout(resolve, 20));
  const again_ms = Math.round(performance.now() - began);
  const second = await answer("what is nine times three");
  await say({ first, protocol, again_ms, second, packets: await packets() });
} catch (error) {
  await say({ error: String(error.message ?? error) });
}
</script>"""


async def tell(control: str, word: str) -> None:
    reader, writer = await asyncio.open_unix_connection(control)
    writer.write(f"{word}\n".encode())
    await reader.readline()
    writer.close()


async def called(browser: str, folder: Path, control: str, rebind: bool) -> dict[str, Any]:
    """What a page of this browser says of its call."""
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE.replace("SERVER", URL), content_type="text/html")

    async def take_said(request: web.Request) -> web.Response:
        said.put_nowait(await request.json())
        return web.Response()

    async def take_rebind(_: web.Request) -> web.Response:
        if rebind:
            await tell(control, "rebind")
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", page), web.post("/said", take_said), web.post("/REBIND", take_rebind)])
    async with served(app) as site:
        try:
            async with asyncio.timeout(60):
                return await _said_by(browser, folder / f"firefox-{rebind}", f"{site}/", said)
        except TimeoutError:
            return {"error": "nothing came of it within a minute"}


async def _said_by(browser: str, profile: Path, url: str, said: asyncio.Queue[dict[str, Any]]) -> dict[str, Any]:
    if browser == "firefox":
        async with firefox(profile, url):
            return await said.get()
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS, "--use-fake-ui-for-media-stream"]
        )
        await (await chromium.new_page()).goto(url)
        told = await said.get()
        await chromium.close()
        return told


async def main(folder: Path, control: str, browsers: list[str]) -> None:
    for browser in browsers:
        for word in ("rebind", "block"):
            await tell(control, word)
            told = await called(browser, folder, control, word == "rebind")
            sys.stdout.write(json.dumps({"browser": browser, "udp": word == "rebind", **told}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
