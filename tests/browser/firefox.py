"""A real Firefox, without a window; `FirefoxPage` has a page of ours do what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

__all__ = ["FIREFOX", "FirefoxPage", "firefox", "needs_firefox"]

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
needs_firefox = pytest.mark.skipif(
    FIREFOX is None and "MEDIA_SERVER_TESTS_NEED_FIREFOX" not in os.environ,
    reason="no Firefox here: install Debian's `firefox-esr`",
)


def _profile(folder: Path) -> Path:
    """A new profile, and where what Firefox prints goes."""
    folder.mkdir()
    lines = (f'user_pref("{name}", {json.dumps(value)});\n' for name, value in PREFERENCES.items())
    (folder / "user.js").write_text("".join(lines))
    return folder / "out.log"


@contextlib.asynccontextmanager
async def firefox(folder: Path, url: str) -> AsyncIterator[None]:
    """Firefox on a page, while the block runs."""
    assert FIREFOX, "install Debian's `firefox-esr`"
    with open(_profile(folder), "wb") as out:  # noqa: ASYNC230
        process = await asyncio.create_subprocess_exec(
            FIREFOX, "--headless", "--no-remote", "--profile", str(folder), url, stdout=out, stderr=out,
            start_new_session=True, env={**os.environ, "HOME": str(folder), "MOZ_DISABLE_CONTENT_SANDBOX": "1"},
        )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class FirefoxPage:
    """Evaluates scripts in a page that has `SCRIPT` in it and is served with `routes`."""

    SCRIPT = """
    (async () => {
      for (;;) {
        const { id, script } = await (await fetch('/next')).json();
        if (!id) continue;
        const answer = { id };
        try { answer.value = await (0, eval)(script); } catch (error) { answer.error = String(error); }
        await fetch('/done', { method: 'POST', body: JSON.stringify(answer) });
      }
    })();
    """

    def __init__(self) -> None:
        self.routes = [web.get("/next", self._next), web.post("/done", self._done)]
        self._ids = itertools.count(1)
        self._scripts: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def evaluate(self, script: str, timeout_s: float = 60) -> Any:
        """What a script comes to, promises awaited."""
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._scripts.put_nowait((number, script))
        async with asyncio.timeout(timeout_s):
            return await answer

    async def wait_for_function(self, script: str, timeout_s: float = 30) -> None:
        """Wait until a script comes to something true."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.evaluate(f"Boolean({script})"):  # noqa: ASYNC110 - the page tells of nothing
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"this did not become true: {script}") from None

    async def _next(self, _: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(0.5):  # a server that stops waits for its handlers
                number, script = await self._scripts.get()
        except TimeoutError:
            return web.json_response({})
        return web.json_response({"id": number, "script": script})

    async def _done(self, request: web.Request) -> web.Response:
        answer = json.loads(await request.text())
        waiting = self._answers.pop(answer["id"])
        if "error" in answer:
            waiting.set_exception(AssertionError(answer["error"]))
        elif not waiting.done():
            waiting.set_result(answer.get("value"))
        return web.Response()
