"""Published programs that use `livekit-client`, as they are printed but for the address and the key.

Their texts are not part of this project: they are read from a folder, and without it these tests are skipped.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import expect

from media_server.audio import Samples
from media_server.call import Session
from tests.browser.conftest import Open
from tests.browser.test_livekit import NEWEST, client
from tests.browser.test_room import site, spoken
from tests.fetched import from_npm
from tests.programs import text


def programs() -> list[str]:
    """Wespoke's programs: each from its imports to where the next one is announced, on its last line."""
    found = re.split(r"(?=^import \{ (?:Room|useState))", text("000"), flags=re.MULTILINE)[1:]
    return [re.sub(r";[A-ZÇĞİÖŞÜ][^;{}]*:\n\Z", ";\n", each) for each in found]


def changed(program: str) -> str:
    """The address and the key."""
    program = program.replace("https://api.wespoke.ai/", "SERVER/")
    return re.sub(r"'pk_live_abc123\.\.\.'", "'KEY'", program).replace("'asst_xyz789'", "'open'")


def bundled(name: str, program: str) -> str:
    npm = from_npm(f"livekit-{NEWEST}-esbuild", f"livekit-client@{NEWEST}", "esbuild@0.25.12")
    source = npm / f"{name}.ts"
    source.write_text(program)
    command = [npm / "node_modules" / ".bin" / "esbuild", source, "--bundle", "--format=esm"]
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout


LACKING = """
globalThis.assistant = assistant;
function updateVolumeIndicator(volume: number) { (globalThis as any).volume = volume; }
function updateMicIcon(enabled: boolean) { (globalThis as any).icon = enabled; }
function showErrorNotification(message: string) { (globalThis as any).shown = message; }
function trackError(error: unknown) { (globalThis as any).tracked = error; }
"""
"""What the print leaves to the reader, and a name for the test to reach the program by."""


async def test_wespokes_programs_as_printed(
    open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]
) -> None:
    first, second, third = (changed(each) for each in programs()[:3])
    page = await open_page(spoken(1.5, sentence("what is seven plus five"), 60.0))
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    buttons = '<button id="mic-toggle">Mic</button><button id="hang-up">Hang up</button>'
    body = f"{buttons}<script type=module src=NAME></script>"
    files = {f"{n}.html": f"<!doctype html><meta charset=utf-8>{body.replace('NAME', f'/{n}.js')}" for n in "123"}
    files |= {f"{n}.js": bundled(n, p + LACKING) for n, p in zip("123", (first, second, third), strict=True)}
    async with site(tmp_path, files=files) as (server, origin):
        for number in "123":
            await page.goto(f"{origin}/{number}.html")
            await page.wait_for_function("globalThis.assistant?.room?.state == 'connected'", timeout=20_000)
            await expect(page.locator("audio")).to_have_count(1, timeout=10_000) if number != "3" else None
            await page.wait_for_function("assistant.room.localParticipant.isMicrophoneEnabled", timeout=10_000)
            (session,) = server.sessions._by_id.values()
            assert isinstance(session, Session)
            if number == "1":
                assert "Connected to assistant" in logged
                await page.wait_for_function("document.querySelector('audio').currentTime > 1", timeout=15_000)
                assert session.call.metadata == {"userId": "user-123"}
            if number == "2":
                await page.wait_for_function("globalThis.volume !== undefined")
                await page.locator("#mic-toggle").click()
                await page.wait_for_function("globalThis.icon === false")
                await page.locator("#hang-up").click()
            else:
                await page.evaluate("assistant.disconnect()")
            await session.ended.wait()
            assert session.reason in ("", "client_hangup")


async def test_flows_page_as_printed(open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    (html,) = re.findall(r"<!DOCTYPE html>.*?</html>", text("001"), re.DOTALL)
    html = html.replace("https://cdn.jsdelivr.net/npm/livekit-client/dist/livekit-client.umd.min.js", "/livekit.js")
    html = html.replace("https://flow.api.speechmatics.com/", "SERVER/")
    # the script writes to an element that the page lacks
    html = html.replace('<div id="audio"></div>', '<div id="audio"></div><span id="session-id"></span>')
    page = await open_page(spoken(2.0, sentence("what is seven plus five"), 60.0))
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    async with site(tmp_path, files={"flow1.html": html, "livekit.js": client(NEWEST)}) as (server, origin):
        await page.goto(f"{origin}/flow1.html")
        async with page.expect_response("**/wespoke.html"):
            key = await page.evaluate("fetch('/wespoke.html').then((r) => r.text())")
        (shown,) = set(re.findall(r"pk_live_\w+", key))
        await page.locator("#authtoken").fill(shown)
        await page.get_by_role("button", name="Start Session").click()
        await expect(page.locator("#status")).to_have_text("connected", timeout=20_000)
        (session,) = server.sessions._by_id.values()
        assert isinstance(session, Session)
        await expect(page.locator("#session-id")).to_have_text(session.call_id)
        await expect(page.locator("#audio audio")).to_have_count(1)
        await page.wait_for_function("document.querySelector('audio').currentTime > 1", timeout=20_000)
        await page.get_by_role("button", name="Stop Session").click()
        await expect(page.locator("#status")).to_have_text("disconnected", timeout=10_000)
        await session.ended.wait()
        assert any(line.startswith("Conversation ended") for line in logged)
