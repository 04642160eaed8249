"""NextEVI's published pages, as they are printed but for the address, the key and the configuration.

Their texts are not part of this project: they are read from a folder, and without it these tests are skipped.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import expect

from media_server.audio import Samples
from tests.browser.conftest import Open
from tests.browser.test_room import site, spoken
from tests.fetched import from_npm
from tests.programs import text

HTML = "<!doctype html><meta charset=utf-8><div id=root></div><script type=module src=/hook.js></script>"
LACKING = """
import { createRoot } from "react-dom/client";
createRoot(document.getElementById("root")!).render(<VoiceChat />);
"""


def printed(first: str, behind: str) -> str:
    """A program, from its first line to what comes behind it."""
    found = re.search(rf"^{first}.*?(?=^{behind})", text("002"), re.MULTILINE | re.DOTALL)
    assert found
    return found[0]


def changed(program: str, url: str, key: str) -> str:
    """The address, the key and the configuration."""
    program = program.replace("wss://api.nextevi.com", url.replace("http", "ws"))
    return program.replace("oak_your_api_key", key.replace("pk_live_", "oak_")).replace("your_config_id", "open")


def bundled(program: str) -> str:
    npm = from_npm("react-19", "react@19", "react-dom@19", "esbuild@0.25.12")
    (npm / "nextevi.tsx").write_text(program)
    command = [npm / "node_modules/.bin/esbuild", npm / "nextevi.tsx", "--bundle", "--jsx=automatic", "--format=esm"]
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout


async def test_its_pages_talk(open_page: Open, tmp_path: Path, sentence: Callable[[str], Samples]) -> None:
    page = await open_page(spoken(1.5, sentence("what is seven plus five"), 60.0))
    await page.add_init_script(
        "window.played = []; HTMLMediaElement.prototype.play = new Proxy(HTMLMediaElement.prototype.play,"
        " { apply: (play, audio) => { played.push(audio); return Reflect.apply(play, audio, []); } });"
    )
    files = {"key.html": "KEY", "hook.html": HTML}
    async with site(tmp_path, files=files) as (server, origin):
        await page.goto(f"{origin}/key.html")
        key = await page.evaluate("document.body.innerText")
        files["chat.html"] = changed(printed("<!DOCTYPE html>", "Node.js Server Integration"), server.url, key)
        hook = printed(r"import React, \{ useState", "Next Steps")
        files["hook.js"] = bundled(changed(hook, server.url, key) + LACKING)
        for name, user, agent in (("chat", "User", "AI"), ("hook", "You", "AI")):
            await page.goto(f"{origin}/{name}.html")
            await page.get_by_role("button", name="Connect").click()
            await page.get_by_role("button", name="Start Recording").click()
            await expect(page.get_by_text(f"{user}: what is seven plus five")).to_be_visible(timeout=20_000)
            await expect(page.get_by_text(f"{agent}: Seven plus five is twelve.")).to_be_visible(timeout=20_000)
            await page.wait_for_function("played.some((audio) => audio.ended && audio.duration > 0.5)")
            await page.get_by_role("button", name="Stop Recording").click()
        server.sessions.hang_up_all()  # its pages have no word for it: a call waits for one that is left
