"""A page with an unmodified `livekit-client`, and what a caller does with it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

from aiohttp import web

from media_server.server import Server
from tests.conftest import no_sessions, sentence_file
from tests.doors.livekit import Way, call_of, media_cut, own_token, until
from tests.fetched import from_npm
from tests.served import served

__all__ = ["ORDER", "SUM", "client", "hold_a_call", "join_and_be_left", "site_with"]

ORDER, SUM = "where is my order four two seven", "what is seven plus five"
LONG = "Let me tell you all about our opening hours. " * 4
PAGE = """<!doctype html><meta charset="utf-8"><script src="/livekit.js"></script><script>
// what is spoken comes from the test, when the test says so
const context = new AudioContext({ sampleRate: 48000 }), microphone = context.createMediaStreamDestination();
navigator.mediaDevices.getUserMedia = async () =>
  new MediaStream(microphone.stream.getAudioTracks().map((track) => track.clone()));
async function speak(sentence) {
  const recording = await (await fetch(`/spoken/${sentence}`)).arrayBuffer();
  const source = new AudioBufferSourceNode(context, { buffer: await context.decodeAudioData(recording) });
  source.connect(microphone);
  const over = new Promise((done) => (source.onended = done));
  source.start();
  await over;
}
async function join(url, token, options) {
  const page = { told: [], said: [], transcriptions: [], states: [], reason: undefined };
  const room = new LivekitClient.Room(options);
  Object.assign(window, page, { room });
  for (const name of Object.values(LivekitClient.RoomEvent)) room.on(name, () => told.push(name));
  room.on('disconnected', (reason) => { window.reason = reason; });
  room.on('trackSubscribed', (track) => document.body.append(window.voice = track.attach()));
  room.on('participantAttributesChanged', (changed) => states.push(changed['lk.agent.state']));
  room.on('dataReceived', (payload, who) =>
    said.push({ who: who?.identity, ...JSON.parse(new TextDecoder().decode(payload)) }));
  if (room.registerTextStreamHandler) room.registerTextStreamHandler('lk.transcription', async (reader, who) => {
    transcriptions.push([who.identity, await reader.readAll()]);
  });
  else room.on('transcriptionReceived', (segments, who) => { // before there were text streams
    for (const { text } of segments) transcriptions.push([who?.identity, text]);
  });
  await room.connect(url, token);
}
const send = (message) =>
  room.localParticipant.publishData(new TextEncoder().encode(JSON.stringify(message)), { reliable: true });
const heard = () => said.filter((m) => m.type == 'user.transcript' && m.final).map((m) => m.text);
const answered = (text) => said.some((m) => m.type == 'agent.speech_stopped' && m.heard == text);
const ended = (reason) => said.filter((m) => m.type == 'agent.speech_stopped' && m.reason == reason).length;
</script>"""


class Page(Protocol):
    """A page in some browser."""

    async def evaluate(self, script: str, /) -> Any: ...

    async def wait_for_function(self, script: str, /) -> Any: ...


def client(version: str) -> str:
    """The text of `livekit-client` as a page loads it."""
    folder = from_npm(f"livekit-{version}", f"livekit-client@{version}")
    return (folder / "node_modules/livekit-client/dist/livekit-client.umd.js").read_text()


@contextlib.asynccontextmanager
async def site_with(version: str, more: str = "", routes: Iterable[web.RouteDef] = ()) -> AsyncIterator[str]:
    """A site with the page and this version of the client in it: its address, while the block runs.

    Args:
        more: another script for the page.
        routes: of the site besides.
    """
    script = client(version)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=f"{PAGE}<script>{more}</script>", content_type="text/html")

    async def livekit(_: web.Request) -> web.Response:
        return web.Response(text=script, content_type="text/javascript")

    async def spoken(request: web.Request) -> web.FileResponse:
        return web.FileResponse(sentence_file(request.match_info["sentence"]))

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/livekit.js", livekit)
    app.router.add_get("/spoken/{sentence}", spoken)
    app.add_routes(routes)
    async with served(app) as site:
        yield f"{site}/"


async def take_a_turn(page: Page, sentence: str) -> None:
    """Speak, and wait for the answer; which words are understood depends on how well a busy machine plays them."""
    heard, answers = await page.evaluate("[heard().length, ended('completed')]")
    await page.evaluate(f"speak('{sentence}')")
    await page.wait_for_function(f"heard().length > {heard} && ended('completed') > {answers}")
    await page.wait_for_function("states.at(-1) == 'listening'")


async def join(page: Page, server: Server, way: Way, options: str) -> None:
    token = await own_token(server)
    await page.evaluate(f"join({json.dumps(way.url)}, {json.dumps(token)}, {options})")


async def hold_a_call(page: Page, server: Server, way: Way, options: str = "{}") -> None:
    """Two turns with data both ways, an interruption, mute, both kinds of loss, and the caller hangs up."""
    await join(page, server, way, options)
    await page.evaluate("room.localParticipant.setMicrophoneEnabled(true).then(() => null)")
    session, line = call_of(server)
    await take_a_turn(page, ORDER)
    await take_a_turn(page, SUM)
    assert await page.evaluate("said.every((m) => m.who == 'agent')")
    await page.wait_for_function("transcriptions.some(([who, text]) => who == 'agent' && text)")
    assert "speaking" in await page.evaluate("states")
    told = set(await page.evaluate("told"))
    assert {"connected", "trackSubscribed", "localTrackPublished", "activeSpeakersChanged"} <= told
    await page.evaluate("send({ type: 'text.send', text: 'what is one plus two' })")
    await page.wait_for_function("answered('One plus two is three.')")
    await page.wait_for_function("voice.currentTime > 1")
    # the caller interrupts, and is answered
    session.call.say(LONG)
    await page.wait_for_function("said.some((m) => m.type == 'agent.word' && m.text == 'opening')")
    before = await page.evaluate("ended('interrupted')")
    await take_a_turn(page, SUM)
    assert await page.evaluate("ended('interrupted')") > before
    # muted, nothing is heard
    orders = "heard().filter((text) => text.startsWith('where is')).length"
    before = await page.evaluate(orders)
    await page.evaluate("room.localParticipant.setMicrophoneEnabled(false).then(() => null)")
    await page.evaluate(f"speak('{ORDER}')")
    await until(lambda: line.room.caller.tracks[0].muted)
    await page.evaluate("room.localParticipant.setMicrophoneEnabled(true).then(() => null)")
    # the socket for signalling is lost, and the call goes on meanwhile
    await page.evaluate("told.length = 0")
    way.cut()
    await page.evaluate("send({ type: 'text.send', text: 'what is two plus two' })")
    await page.wait_for_function("answered('Two plus two is four.')")
    await page.wait_for_function("told.includes('reconnected')")
    assert call_of(server) == (session, line)
    # no packet of its sound or data comes through for a while
    await page.evaluate("told.length = 0")
    with media_cut():
        await page.wait_for_function("told.includes('reconnecting')")
    await page.wait_for_function("told.includes('reconnected')")
    assert call_of(server)[0] is session
    assert await page.evaluate(orders) == before
    await take_a_turn(page, SUM)
    await page.evaluate("room.disconnect().then(() => null)")
    await page.wait_for_function("reason === 1")
    await no_sessions(server)
    assert session.reason == "client_hangup"


async def join_and_be_left(page: Page, server: Server, way: Way, loses_socket: bool) -> None:
    """The agent hangs up on a client.

    Args:
        loses_socket: while it joins; it comes back, which older ones do not do then.
    """
    token = await own_token(server)
    await page.evaluate("told.length = 0")
    await page.evaluate(f"join({json.dumps(way.url)}, {json.dumps(token)}, {{}}), null")
    if loses_socket:
        await page.wait_for_function("globalThis.told?.includes('signalConnected')")
        way.cut()
    await page.wait_for_function("room.state == 'connected'")
    await page.evaluate("send({ type: 'text.send', text: 'what is one plus two' })")
    await page.wait_for_function("answered('One plus two is three.')")
    call_of(server)[0].call.hangup()
    await page.wait_for_function("reason === 5")
    await no_sessions(server)
