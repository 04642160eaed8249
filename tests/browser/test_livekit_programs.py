"""Published programs that use `livekit-client`, as they are printed but for the address and the key.

Their texts are not part of this project: they are read from a folder, and without it these tests are skipped.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from playwright.async_api import expect

from media_server.audio import Samples
from media_server.call import Session
from media_server.server import Server
from tests.browser.conftest import Open
from tests.browser.livekit import client
from tests.browser.test_livekit import NEWEST
from tests.browser.test_room import site, spoken
from tests.fetched import from_npm
from tests.programs import text

ANNOUNCED = r"[A-ZÇĞİÖŞÜ❌💡][^;{}\n]*:$"
"""A sentence of the page between two programs."""
HTML = "<!doctype html><meta charset=utf-8>"


def programs() -> list[str]:
    """Wespoke's programs. The page has lost its line breaks where one of them ends: what comes next is on that line."""
    page = re.sub(rf"^(.*[;}}])(import \{{.*|{ANNOUNCED})$", r"\1\n@@@\n\2", text("000"), flags=re.MULTILINE)
    found = [re.split(rf"^{ANNOUNCED}\n", piece, flags=re.MULTILINE)[-1].strip() for piece in page.split("@@@")]
    return found[:-1]  # behind the last one are notes


def changed(program: str) -> str:
    """The address, the key and the assistant."""
    program = program.replace("https://api.wespoke.ai/", "SERVER/")
    return program.replace("'pk_live_abc123...'", "'KEY'").replace("'asst_xyz789'", "'open'")


def bundled(sources: Mapping[str, str]) -> str:
    """The first of these programs as a developer's bundler makes it, with the others and its packages in it."""
    packages = (f"livekit-client@{NEWEST}", "react@19", "react-dom@19", "esbuild@0.25.12")
    npm = from_npm(f"livekit-{NEWEST}-react", *packages)
    for name, source in sources.items():
        (npm / name).write_text(source)
    command = [npm / "node_modules/.bin/esbuild", npm / next(iter(sources)), "--bundle", "--jsx=automatic"]
    options = ["--format=esm", "--alias:next-intl/server=./empty.ts", '--define:process.env.NEXT_PUBLIC_API_KEY="KEY"']
    (npm / "empty.ts").write_text("export const getTranslations = null;\n")
    made = subprocess.run([*map(str, command), *options], capture_output=True, text=True, check=False)
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


def session_of(server: Server) -> Session:
    (session,) = server.sessions._by_id.values()
    assert isinstance(session, Session)
    return session


async def test_wespokes_programs_as_printed(
    open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]
) -> None:
    first, second, third = (changed(each) for each in programs()[:3])
    page = await open_page(spoken(1.5, sentence("what is seven plus five"), 60.0))
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    buttons = '<button id="mic-toggle">Mic</button><button id="hang-up">Hang up</button>'
    files = {f"{n}.html": f"{HTML}{buttons}<script type=module src=/{n}.js></script>" for n in "123"}
    for n, program in zip("123", (first, second, third), strict=True):
        files[f"{n}.js"] = bundled({f"{n}.ts": program + LACKING})
    async with site(tmp_path, files=files) as (server, origin):
        for number in "123":
            await page.goto(f"{origin}/{number}.html")
            await page.wait_for_function("globalThis.assistant?.room?.state == 'connected'", timeout=20_000)
            await expect(page.locator("audio")).to_have_count(1, timeout=10_000) if number != "3" else None
            await page.wait_for_function("assistant.room.localParticipant.isMicrophoneEnabled", timeout=10_000)
            session = session_of(server)
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
            assert session.reason == "client_hangup"


LACKING_OF_HOOK = """
import { createRoot } from 'react-dom/client';
const t = (key: string) => key;
createRoot(document.getElementById('root')!).render(<VoiceAssistantButton />);
"""
LACKING_OF_ENDINGS = {
    5: "export { endCall };",
    6: "export { CallManager };",
    7: "export { endCallWithConfirmation, endCallWithModal };\n"
    "const showNotification = (text: string) => (globalThis as any).shown.push(text);",
    8: "export { ResilientCallManager };\n"
    "const showNotification = (text: string) => (globalThis as any).shown.push(text);",
    9: "import { Room } from 'livekit-client';\nexport { wrongWayToEndCall, correctWayToEndCall };\n"
    "const shouldDeleteFromHistory = true;",
}
ENDINGS = """
import { Room } from 'livekit-client';
import * as p5 from './p5'; import * as p6 from './p6'; import * as p7 from './p7';
import * as p8 from './p8'; import * as p9 from './p9';
const server = "SERVER/", key = "KEY";
const call = async () => {
  const response = await fetch(server + 'api/v1/embed/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
    body: JSON.stringify({ assistantId: 'open' }),
  });
  const { data } = await response.json();
  const room = new Room();
  await room.connect(data.url, data.token);
  return Object.assign(globalThis, { room, callId: data.callId, shown: [], key });
};
const confirmed = document.getElementById('confirm-end');
Object.assign(globalThis, { confirmed, call, ...p5, ...p6, ...p7, ...p8, ...p9 });
"""


async def test_wespokes_ways_to_end_a_call_as_printed(open_page: Open, tmp_path: Path) -> None:
    printed = [changed(each) for each in programs()]
    sources = {f"p{n}.ts": f"{printed[n]}\n{lacking}" for n, lacking in LACKING_OF_ENDINGS.items()}
    modal = "<div id=end-call-modal class=hidden><button id=confirm-end>End</button><button id=cancel-end>No</button>"
    files = {
        "endings.html": f"{HTML}<p id=status></p><b id=call-btn class=hidden></b><b id=end-btn></b>{modal}</div>"
        "<script type=module src=/endings.js></script>",
        "endings.js": bundled({"endings.ts": ENDINGS} | sources),
        "hook.html": f"{HTML}<div id=root></div><script type=module src=/hook.js></script>",
        "hook.js": bundled({"button.tsx": printed[4] + LACKING_OF_HOOK, "use-voice-assistant.ts": printed[3]}),
    }
    page = await open_page(spoken(60.0))
    async with site(tmp_path, files=files, scopes=("call", "admin")) as (server, origin):
        await page.goto(f"{origin}/endings.html")
        await page.wait_for_function("'call' in globalThis")

        async def ends_by(*steps: str) -> None:
            """A call that ends by these steps of the page."""
            await page.evaluate("call().then(() => null)")
            session = session_of(server)
            for step in steps:
                await page.evaluate(step)
            assert await page.evaluate("room.state") == "disconnected"
            await session.ended.wait()
            assert session.reason == "client_hangup"

        await ends_by("endCall(room)")
        managed = "window.manager = Object.assign(new CallManager(), { room }); manager.setupEventListeners()"
        await ends_by(managed, "manager.endCall()")
        await expect(page.locator("#status")).to_have_text("Disconnected")
        page.once("dialog", lambda dialog: dialog.accept())
        await ends_by("endCallWithConfirmation(room)")
        assert await page.evaluate("shown") == ["Ending call...", "Call ended successfully"]
        await ends_by("(() => { const p = endCallWithModal(room); confirmed.click(); return p; })()")
        resilient = (
            "window.manager = Object.assign(new ResilientCallManager(), { room }); manager.setupEventListeners()"
        )
        lost = "room.simulateScenario('full-reconnect'), new Promise((done) => room.once('reconnected', done))"
        await ends_by(resilient, lost, "manager.endCall()")
        assert await page.evaluate("shown") == ["Reconnecting...", "Reconnected!"]
        deletions: list[int] = []
        page.on("response", lambda r: deletions.append(r.status) if r.request.method == "DELETE" else None)
        await ends_by("wrongWayToEndCall(callId, key)", "correctWayToEndCall(room, callId, key)")
        assert deletions == [409, 200]
        await page.goto(f"{origin}/hook.html")
        button = page.get_by_role("button", name="Call Assistant")
        await button.click()
        # its effect depends on an object that is made anew each time it is drawn: as printed, it hangs up by itself
        await expect(page.get_by_role("button", name="Connecting...")).to_be_visible()
        await page.wait_for_function("document.querySelector('audio')")
        await expect(button).to_be_enabled(timeout=20_000)


async def test_flows_page_as_printed(open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    (html,) = re.findall(r"<!DOCTYPE html>.*?</html>", text("001"), re.DOTALL)
    html = html.replace("https://cdn.jsdelivr.net/npm/livekit-client/dist/livekit-client.umd.min.js", "/livekit.js")
    html = html.replace("https://flow.api.speechmatics.com/", "SERVER/")
    # the script writes to an element that the page lacks
    html = html.replace('<div id="audio"></div>', '<div id="audio"></div><span id="session-id"></span>')
    page = await open_page(spoken(2.0, sentence("what is seven plus five"), 60.0))
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    files = {"flow1.html": html, "livekit.js": client(NEWEST), "key.html": "KEY"}
    async with site(tmp_path, files=files) as (server, origin):
        await page.goto(f"{origin}/flow1.html")
        await page.locator("#authtoken").fill(await page.evaluate("fetch('/key.html').then((r) => r.text())"))
        await page.get_by_role("button", name="Start Session").click()
        await expect(page.locator("#status")).to_have_text("connected", timeout=20_000)
        session = session_of(server)
        await expect(page.locator("#session-id")).to_have_text(session.call_id)
        await expect(page.locator("#audio audio")).to_have_count(1)
        await page.wait_for_function("document.querySelector('audio').currentTime > 1", timeout=20_000)
        await page.get_by_role("button", name="Stop Session").click()
        await expect(page.locator("#status")).to_have_text("disconnected", timeout=10_000)
        await session.ended.wait()
        assert any(line.startswith("Conversation ended") for line in logged), logged
