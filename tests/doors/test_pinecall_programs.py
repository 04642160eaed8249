"""Pinecall's published programs, as they are printed but for the address and the key.

Their texts are not part of this project: they are read from a folder, and without it these tests are skipped. The
vendor's package for Node is on no registry: a stand-in takes its place, or the package itself where
MEDIA_SERVER_TESTS_PINECALL names the folder of one that was built from its source.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_server.engines.messages import CalledTool, ChatMessage, TextChunk
from media_server.server import Server
from tests.conftest import no_sessions
from tests.doors.test_nextevi_programs import CLIENTS, running, until
from tests.doors.test_pinecall import PinecallCaller
from tests.fetched import from_npm
from tests.programs import text

STAND_IN = Path(os.environ.get("MEDIA_SERVER_TESTS_PINECALL", CLIENTS / "pinecall_sdk.mjs"))
PACKAGES = ("esbuild@0.25.12", "ws@8.18.0", "zod@4.1.12", "express@5.1.0")


def programs() -> list[list[str]]:
    """The programs of each page in TypeScript, by their fences; the print has a line break for each border."""
    pages = text("003").split("@@ -0,0")[1:]
    lines = [re.findall(r"^\+\n(.*)\n(?=\||\Z|@@)", page, re.MULTILINE) for page in pages]
    joined = ["\n".join("" if line == "|" else line for line in page) for page in lines]
    return [re.findall(r"^```typescript\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) for page in joined]


def changed(program: str) -> str:
    """The address and the key."""
    key = "apiKey: process.env.PINECALL_API_KEY!"
    return program.replace(key, f"{key}, apiUrl: process.env.SERVER!")


LACKING = """
import { Pinecall, tool } from "@pinecall/sdk";
import { z } from "zod";
const told = (what: string, value: unknown) => (console.log(what, JSON.stringify(value)), value);
const db = {
  orders: { findOne: async (id: string) => (told("order", id), id === "1" ? { status: "shipped" } : null) },
  customers: { find: async (query: object) => told("customer", query) },
  getSSN: async (id: string) => (told("ssn", id), "078-05-1120"),
};
const scheduler = { book: async (wanted: object) => told("callback", wanted) };
const calendar = {
  book: async (wanted: any) =>
    (told("booked", wanted), { success: wanted.durationMinutes < 60, conflictReason: "full" }),
};
const pc = new Pinecall({ apiKey: process.env.PINECALL_API_KEY!, apiUrl: process.env.SERVER! });
"""
"""What the print leaves to the reader: its databases. Each program of a tool declares names that another one has."""
TOOLS = """
const about = { prompt: "Help.", llm: "openai/x", language: "en" };
const more = pc.agent("tools", { ...about, tools: [...p1, ...p2, ...p3, ...p5, ...p6] });
const others = pc.agent("others", { ...about, tools: [...p4, ...p7] });
await Promise.all([agent.ready, more.ready, others.ready]);
console.log("started");
"""
SECOND = """
import express from "express";
import WebSocket from "ws";
const app = express();
const authMiddleware = (req: any, res: any, next: any) => next();
const getSession = async () => ({ user: "ada" });
"""
REST = """
const agent = mara;
%s
const listening = app.listen(0, "127.0.0.1", async () => {
  const at = `http://127.0.0.1:${(listening.address() as any).port}`;
  await mara.ready;
  const given = await (await fetch(`${at}/api/token`)).json();
  console.log("token", given.token.slice(0, 5), given.server, given.expiresIn);
  console.log("next", (await (await GET()).json()).token.slice(0, 5));
  const { token, server } = await (await fetch(`${at}/api/chat-token`)).json();
  let said = "";
  const appendBotToken = (text: string) => { said += text; };
  const finishBotMessage = (text: string) => console.log("chat", JSON.stringify([said, text]));
  %s
});
"""


class Scripted:
    """Answers in the language model's place: calls the tool that a caller names, and says what it returned."""

    def __init__(self, engines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.results: list[Any] = []
        monkeypatch.setattr(engines, "generate", self.generate)

    @contextlib.asynccontextmanager
    async def generate(
        self, _: str, messages: Sequence[ChatMessage], *rest: Any, **more: Any
    ) -> AsyncIterator[AsyncIterator[Any]]:
        last = messages[-1]

        async def pieces() -> AsyncIterator[Any]:
            if last.role == "tool":
                self.results.append(json.loads(last.content))
                yield TextChunk(1, "Yes.")
            elif last.content.startswith("call "):
                name, _, arguments = last.content.removeprefix("call ").partition(" ")
                yield CalledTool(1, name, arguments)
            else:
                yield TextChunk(1, "Yes.")

        yield pieces()


def built(folder: Path, source: str) -> Path:
    """A program as a developer's bundler makes it."""
    npm = from_npm("pinecall", *PACKAGES)
    (folder / "program.ts").write_text(source)
    command = [npm / "node_modules/.bin/esbuild", "program.ts", "--bundle", "--platform=node", "--format=esm"]
    options = [f"--alias:@pinecall/sdk={STAND_IN}", "--external:ws", "--external:express", "--outfile=program.mjs"]
    environment = os.environ | {"NODE_PATH": str(npm / "node_modules")}
    made = subprocess.run(
        [*map(str, command), *options], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    with contextlib.suppress(FileExistsError):
        (folder / "node_modules").symlink_to(npm / "node_modules")
    return folder / "program.mjs"


LAST = {
    "tools": ("endCall {}", "Have a great day!", "hangup"),
    "others": ('transferToHuman {"department": "sales"}', "let me connect you", "forwarded"),
}
"""What ends a call, what is said then, and why it ends."""
CALLS: list[tuple[str, str, dict[str, Any], Any]] = [
    ("support", "lookupOrder", {"orderId": "1"}, {"status": "shipped"}),
    ("support", "scheduleCallback", {"datetime": "2026-12-01T09:00", "reason": "a visit"},
     {"phone": "webrtc", "datetime": "2026-12-01T09:00", "reason": "a visit"}),
    ("tools", "lookupSSN", {"customerId": "7"}, {"ssn": "078-05-1120"}),
    ("tools", "findCustomer", {"query": "ada"}, {"or": [{"phone": "ada"}, {"email": "ada"}]}),
    ("tools", "bookAppointment", {"datetime": "2026-12-01T09:00", "durationMinutes": 90, "patientName": "Ada"},
     {"booked": False, "error": "full"}),
    ("others", "lookupOrder", {"orderId": "2"}, {"error": "Order not found"}),
]  # fmt: skip


async def test_its_tools_as_printed(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools, _ = programs()
    assert len(tools) == 9
    # each in a block of its own, as several declare the same names
    names = [re.findall(r"^const (\w+) = tool\(", each, re.MULTILINE) for each in tools]
    blocks = [f"const p{n} = (() => {{\n{tools[n]}\nreturn [{', '.join(names[n])}];\n}})();\n" for n in range(1, 8)]
    first = re.sub(r"^import .*$", "", tools[0], flags=re.MULTILINE)
    program = built(tmp_path, LACKING + first + tools[8] + "".join(blocks) + TOOLS)
    model = Scripted(server.engines, monkeypatch)
    env = {"PINECALL_API_KEY": "pk_backend", "SERVER": server.url}
    async with running("node", program, cwd=tmp_path, **env) as printed:
        await until(printed, "started")
        for agent in ("support", "tools", "others"):
            async with PinecallCaller(server.url, agent) as caller:
                if agent == "support":
                    assert (await caller.wait_for("bot.finished"))["text"] == "Hi, how can I help?"
                for _, name, arguments, result in [each for each in CALLS if each[0] == agent]:
                    since = len(caller.events)
                    caller.send(action="inject_text", text=f"call {name} {json.dumps(arguments)}")
                    finished = await caller.wait_for("bot.finished", since=since)
                    assert finished["text"] == "Yes."
                    assert model.results[-1] == result, name
                if agent == "support":
                    assert "Tools called: lookupOrder" in await until(printed, "Tools called: scheduleCallback")
                    continue
                # what is said as the call ends is heard first; there are no telephones, so it is another's to go on
                since = len(caller.events)
                last, words, reason = LAST[agent]
                caller.send(action="inject_text", text=f"call {last}")
                assert (await caller.wait_for("call.ended"))["reason"] == reason
                assert words in " ".join(e["word"] for e in caller.events[since:] if e["event"] == "bot.word")
            await no_sessions(server)
    async with aiohttp.ClientSession(server.url) as http, http.get("/v1/calls", params={"agent": "tools"}) as response:
        (record,) = (await response.json())["calls"]
        async with http.get(f"/v1/calls/{record['id']}") as response:
            assert "078-05-1120" not in await response.text(), "an ephemeral result is in no record"


async def test_its_backend_and_its_chat_as_printed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, express, nextjs, _, demo, backend, chat = map(changed, programs()[1])
    # as printed it sends in the tick in which it makes the socket, which every client refuses
    chat = re.sub(r"^(ws\.send\(.*\);)$", r"ws.onopen = () => \1", chat, flags=re.MULTILINE)
    program = built(tmp_path, SECOND + first + nextjs + demo + REST % (express + backend, chat))
    Scripted(server.engines, monkeypatch)
    env = {"PINECALL_API_KEY": "pk_backend", "SERVER": server.url}
    async with running("node", program, cwd=tmp_path, **env) as printed:
        told = await until(printed, "chat ")
        assert f"token wrtc_ {server.url} 60" in told
        assert "next wrtc_" in told
        assert 'chat ["Yes.","Yes."]' in told
        demo_bot = server.agents.get("demo-bot")
        assert demo_bot
        assert demo_bot.allowed_origins == ("https://demo.mysite.com", "https://*.mysite.com", "http://localhost:*")
    await no_sessions(server)
