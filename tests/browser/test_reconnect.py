"""A page whose connection is lost: it comes back by itself, in the same call, with its memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, expect

from media_server.audio import CALL_RATE_HZ, Samples
from media_server.call import Session
from media_server.rtc import Edge, Peer, SocketLine
from media_server.rtc.link import Link
from media_server.rtc.wires import Address, Tcp, Udp, Wire
from media_server.server import Server
from tests.browser.conftest import Open
from tests.browser.test_room import site, spoken
from tests.conftest import no_sessions

SILENCE = np.zeros(CALL_RATE_HZ, np.int16)


class Cable:
    """Pulled, no packet of a call reaches the server or leaves it; or none over UDP, or over certain paths."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pulled = self.blocks_udp = False
        self.cut: set[tuple[Wire, Address]] = set()
        received, udp, tcp = Edge.received, Udp.send, Tcp.send

        def take(own: Edge, wire: Wire, data: bytes, address: Address) -> None:
            if self.carries(wire, address):
                received(own, wire, data, address)

        def send_udp(own: Udp, data: bytes, address: Address) -> None:
            if self.carries(own, address):
                udp(own, data, address)

        def send_tcp(own: Tcp, data: bytes, address: Address) -> None:
            if self.carries(own, address):
                tcp(own, data, address)

        monkeypatch.setattr(Edge, "received", take)
        monkeypatch.setattr(Udp, "send", send_udp)
        monkeypatch.setattr(Tcp, "send", send_tcp)

    def carries(self, wire: Wire, address: Address) -> bool:
        blocked = self.blocks_udp and isinstance(wire, Udp)
        return not self.pulled and not blocked and (wire, address) not in self.cut


@pytest.fixture
def cable(monkeypatch: pytest.MonkeyPatch) -> Cable:
    return Cable(monkeypatch)


async def in_call(page: Page, server: Server) -> str:
    """The page's call, in which a name was told; its id."""
    await page.goto(server.url)
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=15_000)
    assert await asked(page, "my name is olivia") == "Nice to meet you, Olivia! How can I help you?"
    await expect(page.get_by_role("status")).to_have_text("Listening", timeout=10_000)
    (session,) = server.sessions._by_id.values()
    return session.call_id


async def asked(page: Page, text: str) -> str:
    """The answer to what is typed."""
    answers = page.locator(".bubble.agent")
    count = await answers.count()
    await page.get_by_label("Type to the agent").fill(text)
    await page.keyboard.press("Enter")
    await expect(answers).to_have_count(count + 1, timeout=15_000)
    unspoken = answers.last.locator(".unspoken")
    await expect(unspoken).to_have_text("", timeout=15_000)
    return await answers.last.inner_text()


async def remembers(page: Page, server: Server, call_id: str) -> None:
    assert await asked(page, "what is my name") == "Your name is Olivia."
    (session,) = server.sessions._by_id.values()
    assert session.call_id == call_id
    await page.get_by_role("button", name="Hang up").click()
    await no_sessions(server)


@pytest.mark.parametrize("cut_s", [5, 12])
async def test_a_network_that_is_away_for_a_while(open_page: Open, tmp_path: Path, cable: Cable, cut_s: float) -> None:
    page = await open_page(SILENCE)
    async with site(tmp_path, keys=False) as (server, _):
        call_id = await in_call(page, server)
        cable.pulled = True
        await asyncio.sleep(cut_s)
        cable.pulled = False
        await expect(page.get_by_role("status")).to_have_text("Listening", timeout=20_000)
        await remembers(page, server, call_id)


def of(server: Server) -> tuple[Peer, Link]:
    """The one call's connection."""
    (session,) = server.sessions._by_id.values()
    assert isinstance(session, Session)
    assert isinstance(session.line, Peer)
    assert isinstance(session.line.link, Link)
    return session.line, session.line.link


async def test_the_page_restarts_ice_when_its_paths_are_cut(open_page: Open, tmp_path: Path, cable: Cable) -> None:
    page = await open_page(SILENCE)
    async with site(tmp_path, keys=False) as (server, _):
        call_id = await in_call(page, server)
        line, link = of(server)
        before, answered = line.etag, list[int]()
        page.on("response", lambda r: answered.append(r.status) if r.request.method == "PATCH" else None)
        cable.pulled = True
        async with asyncio.timeout(30):
            while line.etag == before:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
            cable.cut, cable.pulled = set(link._paths), False
            while link.selected in cable.cut:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.05)
        assert of(server) == (line, link)
        assert answered.count(200) == 1
        assert set(answered) <= {200, 204}
        await remembers(page, server, call_id)


async def test_a_call_goes_on_over_tcp_when_udp_is_blocked_in_it(open_page: Open, tmp_path: Path, cable: Cable) -> None:
    page = await open_page(SILENCE)
    async with site(tmp_path, keys=False) as (server, _):
        call_id = await in_call(page, server)
        line, link = of(server)
        cable.blocks_udp = True
        async with asyncio.timeout(30):
            while link.selected and link.selected[0].protocol != "tcp":  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.1)
        assert of(server) == (line, link)
        await remembers(page, server, call_id)


async def test_where_udp_is_blocked_the_call_goes_over_tcp(open_page: Open, tmp_path: Path, cable: Cable) -> None:
    page = await open_page(SILENCE)
    async with site(tmp_path, keys=False) as (server, _):
        cable.blocks_udp = True
        call_id = await in_call(page, server)
        of(server)
        await remembers(page, server, call_id)


async def test_a_connection_that_ends_is_followed_by_another(open_page: Open, tmp_path: Path) -> None:
    """As when a server's address changes: nothing of the old connection is left."""
    page = await open_page(SILENCE)
    async with site(tmp_path, keys=False) as (server, _):
        call_id = await in_call(page, server)
        (session,) = server.sessions._by_id.values()
        assert isinstance(session, Session)
        assert isinstance(session.line, Peer)
        session.line.gone.set()
        await expect(page.locator(".note", has_text="Reconnected.")).to_be_visible(timeout=20_000)
        await expect(page.get_by_role("status")).to_have_text("Listening")
        await remembers(page, server, call_id)


async def test_without_udp_the_call_goes_over_a_websocket(
    open_page: Open, tmp_path: Path, cable: Cable, sentence: Callable[[str], Samples]
) -> None:
    """There are candidates, and nothing comes of them: a firewall. And a socket that breaks is followed by another."""
    page = await open_page(spoken(14.0, sentence("what is seven plus five"), 60.0))
    async with site(tmp_path, keys=False) as (server, _):
        cable.pulled = True
        await page.goto(server.url)
        await page.get_by_role("button", name="Call").click()
        await expect(page.locator(".note", has_text="Connected over WebSocket: no WebRTC here.")).to_be_visible(
            timeout=15_000
        )
        await expect(page.locator(".bubble.user")).to_have_text("what is seven plus five", timeout=15_000)
        await expect(page.locator(".bubble.agent")).to_have_text("Seven plus five is twelve.", timeout=10_000)
        await expect(page.get_by_role("status")).to_have_text("Listening", timeout=10_000)
        (session,) = server.sessions._by_id.values()
        assert isinstance(session, Session)
        assert isinstance(session.line, SocketLine)
        assert await asked(page, "my name is olivia") == "Nice to meet you, Olivia! How can I help you?"
        session.line.gone.set()
        await expect(page.locator(".note", has_text="Reconnected.")).to_be_visible(timeout=20_000)
        await remembers(page, server, session.call_id)


async def test_a_server_that_is_gone_for_good_is_said(open_page: Open, tmp_path: Path) -> None:
    page = await open_page(SILENCE)
    async with site(tmp_path, keys=False) as (server, _):
        await in_call(page, server)
        server.sessions.hang_up_all()
    await expect(page.get_by_role("alert")).to_have_text("The server was stopped.", timeout=10_000)
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    await expect(page.get_by_role("button", name="Call")).to_be_enabled()


async def test_a_room_says_that_it_reconnects(open_page: Open, tmp_path: Path) -> None:
    page = await open_page(SILENCE)
    async with site(tmp_path) as (server, origin):
        await page.goto(f"{origin}/wespoke.html")
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_role("status")).to_have_text("connected", timeout=15_000)
        await page.evaluate(
            "window.states = []; room.on('connectionStateChanged', (s) => states.push(s));"
            "for (const e of ['reconnecting', 'reconnected', 'disconnected']) room.on(e, () => states.push(e + '!'))"
        )
        (session,) = server.sessions._by_id.values()
        assert isinstance(session, Session)
        assert session.line is not None
        session.line.gone.set()
        await page.wait_for_function("states.includes('reconnected!')", timeout=20_000)
        assert await page.evaluate("states") == ["reconnecting", "reconnecting!", "connected", "reconnected!"]
        session.call.say("hello again")
        await page.evaluate("new Promise((heard) => room.on('audioLevel', (level) => level > 0.3 && heard()))")
        await page.get_by_role("button", name="Leave").click()
        await expect(page.locator("#reason")).to_have_text("undefined")
