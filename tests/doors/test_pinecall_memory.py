"""Pinecall's memory: facts about contacts, learned after replies and known in the next call."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from media_server.engines.messages import CalledTool, ChatMessage
from media_server.store import Database, Fact, Facts, Whose
from tests.conftest import no_sessions
from tests.doors.test_pinecall_process import Program, program
from tests.integration.test_access import Guarded, guarded
from tests.sockets import connected

PROMPT = "You are Mara.\n{{MEMORY}}"
BRIEF = {"remember": ["names"], "forget": ["payment details"], "contactKey": "contactId"}


@contextlib.asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[Guarded]:
    async with guarded(tmp_path) as g:
        key, _ = await g.keys.create("backend", scopes=["call", "admin"])
        yield replace(g, key=key)


class Notes:
    """Answers in the model's place what it is asked about an exchange; callers are answered as ever."""

    def __init__(self, g: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Sequence[ChatMessage]] = []
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.held = asyncio.Event()
        self.held.set()
        engines = g.server.engines
        generate, choose = engines.generate, engines.choose

        @contextlib.asynccontextmanager
        async def noting(call_id: str, messages: Any, *rest: Any, **more: Any) -> AsyncIterator[Any]:
            if not call_id.endswith(" memory"):
                async with generate(call_id, messages, *rest, **more) as pieces:
                    yield pieces
                return
            self.asked.append(messages)
            await self.held.wait()

            async def calls() -> AsyncIterator[CalledTool]:
                for name, arguments in self.answers:
                    yield CalledTool(1, name, json.dumps(arguments))

            yield calls()

        async def judged(call_id: str, messages: Any, words: Any) -> tuple[float, ...]:
            if not call_id.endswith(" memory"):
                return await choose(call_id, messages, words)
            secret = "card" in messages[-1].content
            return (0.9, 0.1) if secret else (0.1, 0.9)

        monkeypatch.setattr(engines, "generate", noting)
        monkeypatch.setattr(engines, "choose", judged)


async def token(g: Guarded, agent: str = "lumi", key: str = "", **sealed: Any) -> str:
    query = {"agent_id": agent, "metadata": json.dumps(sealed)}
    status, body = await g.ask("GET", "/chat/token", key or g.key, params=query)
    assert status == 200, body
    return str(body["token"])


@contextlib.asynccontextmanager
async def chat(g: Guarded, shown: str) -> AsyncIterator[Callable[[str], Any]]:
    async with connected(Program, f"{g.server.url}/ws", token=shown) as page:
        await page.wait_for("chat.connected")

        async def ask(text: str) -> Program:
            await page.send("message", text=text)
            await page.wait_for("chat.done", since=len(page.messages))
            return page

        yield ask


async def known(g: Guarded, contact: str = "ada", key: str = "", agent: str = "lumi") -> dict[str, Any]:
    status, body = await g.ask("GET", f"/api/memory/{agent}/{contact}", key or g.key)
    assert (status, body["success"]) == (200, True), body
    return dict(body)


async def test_facts_are_learned_known_searched_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as g, program(g.server.url, g.key) as mara:
        notes = Notes(g, monkeypatch)
        named = {"llm": "local", "stt": "local", "voice": "calm"}
        assert not (await mara.create(agent_id="lumi", prompt=PROMPT, memory=BRIEF, **named))["unused"]
        notes.answers = [
            ("remember_fact", {"kind": "identity", "text": "Her name is Olivia"}),
            ("remember_fact", {"kind": "other", "text": "Pays with the card 4111"}),
        ]
        async with chat(g, await token(g, contactId="ada", userId="u-1")) as ask:
            page = await ask("my name is olivia")
            told = await mara.wait_for("memory.ops")
            assert (told["agent_id"], told["contact"], told["final"]) == ("lumi", "ada", False)
            (op,) = told["ops"]
            assert (op["op"], op["text"], op["evidence"]) == ("add", "Her name is Olivia", "my name is olivia")
            assert told["memory"] == {"revision": 1, "path": "mem_lumi/ada.md"}
            seen = await page.wait_for("memory.ops")
            assert seen["ops"] == told["ops"]
            session = next(iter(g.server.sessions._by_id.values()))
            assert f"## identity · {op['id']}\nHer name is Olivia" in session.call.agent.prompt
        ended = await mara.wait_for("llm.chat.ended")
        await no_sessions(g.server)
        first_call = ended["call_id"]

        # the next call knows it from its first word on, and what changes takes its place
        since = len(mara.messages)
        notes.answers = [("replace_fact", {"number": 1, "text": "Her name is Clara"})]
        async with chat(g, await token(g, contactId="ada")) as ask:
            session = next(iter(g.server.sessions._by_id.values()))
            assert "Her name is Olivia" in session.call.agent.prompt
            await ask("my name is clara")
            changed = (await mara.wait_for("memory.ops", since=since))["ops"][0]
            assert (changed["op"], changed["supersedes"]) == ("update", op["id"])
        await no_sessions(g.server)
        assert "1. Her name is Olivia" in notes.asked[-1][0].content
        about = await known(g)
        assert [("valid_to" in f, f["text"]) for f in about["facts"]] == [
            (True, "Her name is Olivia"),
            (False, "Her name is Clara"),
        ]
        assert about["memory_md"].startswith("# ada\n\n## identity · m_")
        assert about["facts"][0]["source"] == {"call": first_call, "turn": 1, "transport": "chat"}

        search = {"agent": "lumi", "q": "what is the name of this caller"}
        for more in ({}, {"contact": "ada", "k": "1"}):
            _, found = await g.ask("GET", "/api/memory/search", g.key, params=search | more)
            (hit,) = found["hits"]
            assert (hit["contact"], hit["text"], hit["score"]) == ("ada", "Her name is Clara", 1)
        for query in ({"q": '"'}, {"q": "zebra"}, {"contact": "bob"}):
            _, found = await g.ask("GET", "/api/memory/search", g.key, params=search | query)
            assert found == {"success": True, "hits": []}
        for wrong in ({"k": "0"}, {"k": "x"}, {"q": ""}, {"agent": ""}):
            shown = {"Authorization": f"Bearer {g.key}"}
            async with g.http.get(f"{g.server.url}/api/memory/search", params=search | wrong, headers=shown) as answer:
                refused = await answer.json()
            assert (answer.status, refused["success"], type(refused["error"])) == (400, False, str)

        # names as programs have them, contacts with any characters
        odd = URL(f"{g.server.url}/api/memory/{quote('Lu Mi')}/{quote('+51/a b', safe='')}", encoded=True)
        async with g.http.get(odd, headers=shown) as answer:
            assert (await answer.json())["contact"] == "+51/a b"
        for contact in ("%00", "%20", "a%0Ab", "c" * 201):
            for where in (f"lumi/{contact}", f"search?agent=lumi&q=name&contact={contact}"):
                odd = URL(f"{g.server.url}/api/memory/{where}", encoded=True)
                async with g.http.get(odd, headers=shown) as answer:
                    assert (answer.status, (await answer.json())["code"]) == (400, "bad_request"), where
        odd = URL(f"{g.server.url}/api/memory/lumi/%20ada%20", encoded=True)
        async with g.http.get(odd, headers=shown) as answer:
            assert len((await answer.json())["facts"]) == 2, "as who calls is known by the word alone"
        odd = URL(f"{g.server.url}/api/memory/{quote(' Lumi ')}/ada", encoded=True)
        async with g.http.get(odd, headers=shown) as answer:
            assert len((await answer.json())["facts"]) == 2

        # with a call's record what was learned in it goes as well
        async with g.http.delete(f"{g.server.url}/v1/calls/{first_call}", headers=shown) as answer:
            assert answer.status == 204
        assert [f["text"] for f in (await known(g))["facts"]] == ["Her name is Clara"]
        forgotten = [(await g.ask("DELETE", "/api/memory/lumi/ada", g.key))[1]["forgotten"] for _ in range(2)]
        assert forgotten == [True, False]
        assert (await known(g))["facts"] == []


async def test_what_one_knows_is_for_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as g:
        notes = Notes(g, monkeypatch)
        notes.answers = [("remember_fact", {"kind": "plan", "text": "Comes on Monday"})]
        acme, _ = await g.keys.create("acme", scopes=["call", "admin"], tenant="acme")
        some, _ = await g.keys.create("some", scopes=["call", "admin"], agents=["desk"])
        async with program(g.server.url, g.key) as mine, program(g.server.url, acme) as theirs:
            await mine.create(agent_id="lumi", prompt=PROMPT, memory=BRIEF)
            await mine.create(agent_id="other", prompt=PROMPT, memory=BRIEF | {"enabled": True})
            await theirs.create(agent_id="theirs", prompt=PROMPT, memory=BRIEF)
            async with chat(g, await token(g, contactId="ada")) as ask:
                await ask("hello")
                await mine.wait_for("memory.ops")
                call = next(iter(g.server.sessions._by_id.values())).call
                assert "Comes on Monday" in call.agent.prompt
                # the agent that it is forwarded to has facts of its own alone
                call.forward("other")
                await mine.wait_for("llm.chat.started", agent_id="other")
                assert "Comes on Monday" not in call.agent.prompt
            await no_sessions(g.server)
            assert (await known(g))["revision"] == 1
            assert (await known(g, agent="other"))["facts"] == []
            assert (await known(g, key=acme))["facts"] == []
            assert (await known(g, "bob"))["facts"] == []
            assert (await g.ask("DELETE", "/api/memory/lumi/ada", acme))[1]["forgotten"] is False
            for key, status in ((some, 403), ("sk_nonsense", 401), ("", 401)):
                headers, address = {"Authorization": f"Bearer {key}"}, f"{g.server.url}/api/memory/lumi/ada"
                for method in ("GET", "DELETE"):
                    async with g.http.request(method, address, headers=headers if key else {}) as answer:
                        assert answer.status == status
        assert (await known(g))["revision"] == 1, "its program need not be there"
        notes.asked.clear()
        await g.ask("DELETE", "/api/memory/lumi/ada", g.key)
        await _nobody_is_remembered_who_only_says_who_they_are(g, notes)


async def _nobody_is_remembered_who_only_says_who_they_are(g: Guarded, notes: Notes) -> None:
    async with program(g.server.url, g.key) as mara:
        await mara.create(agent_id="lumi", prompt=PROMPT, memory=BRIEF)
        await mara.create(agent_id="off", prompt=PROMPT, memory=BRIEF | {"enabled": False})
        page, _ = await g.keys.create("page", scopes=["call"], origins=["https://a.example"])
        shown = {"Authorization": f"Bearer {page}", "Origin": "https://a.example"}
        wanted = {"agent": "lumi", "kind": "chat", "metadata": {"contactId": "ada"}}
        async with g.http.post(f"{g.server.url}/v1/tokens", json=wanted, headers=shown) as response:
            said_by_page = (await response.json())["token"]
        for each in (said_by_page, await token(g), await token(g, agent="off", contactId="ada")):
            async with chat(g, each) as ask:
                await ask("hello")
            await no_sessions(g.server)
        assert not notes.asked
        assert (await known(g))["facts"] == []


async def test_a_caller_who_goes_on_is_answered_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as g, program(g.server.url, g.key) as mara:
        notes = Notes(g, monkeypatch)
        notes.held.clear()
        await mara.create(agent_id="lumi", prompt=PROMPT, memory=BRIEF)
        async with chat(g, await token(g, contactId="ada")) as ask:
            await ask("my name is olivia")
            async with asyncio.timeout(5):
                while not notes.asked:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await ask("what is one plus two")
            notes.answers = [("remember_fact", {"kind": "identity", "text": "Her name is Olivia"})]
            notes.held.set()
            told = await mara.wait_for("memory.ops")
            assert told["turn"] == 2, "with what was said before"
            exchange = notes.asked[-1][1].content
            assert exchange.startswith("Caller: my name is olivia\nAgent: ")
            assert "Caller: what is one plus two" in exchange
        await no_sessions(g.server)
        assert len(mara.of("memory.ops")) == 1

        # or one pass when the call is over
        notes.asked.clear()
        since = len(mara.messages)
        await mara.create(agent_id="lumi", prompt=PROMPT, memory=BRIEF | {"consolidate": "call.ended"})
        async with chat(g, await token(g, contactId="bob")) as ask:
            await ask("my name is olivia")
            await ask("what is one plus two")
            assert not notes.asked
        told = await mara.wait_for("memory.ops", since=since)
        assert (told["final"], told["turn"], len(notes.asked)) == (True, 2, 1)
        _, stream = await g.ask("GET", "/stream/token?agent_id=lumi", g.key)
        of = {"token": stream["token"], "call": told["call_id"]}
        async with asyncio.timeout(10), g.http.ws_connect(f"{g.server.url}/v1/attach", params=of) as socket:
            kinds = [json.loads(message.data)["type"] async for message in socket]
        assert kinds[-4:] == ["call.ended", "memory.ops", "call.summary", "log.caught_up"]
        assert mara.messages.index(mara.of("llm.chat.ended")[-1]) < mara.messages.index(told)


async def test_facts_are_bounded_and_go_with_the_last_call(tmp_path: Path) -> None:
    async with Database.open(f"sqlite:///{tmp_path}/facts.sqlite") as database:
        facts, ada = Facts(database), Whose("", "mara", "ada")

        def fact(number: int) -> Fact:
            return Fact(f"m_{number}", f"call-{number}", 1, "chat", "plan", f"Fact {number}", "", None, float(number))

        await facts.change(ada, [fact(n) for n in range(130)], [])
        after = await facts.change(ada, [], [f"m_{n}" for n in range(30, 125)])
        assert (after.revision, len(after.holding), len(after.facts)) == (2, 5, 100)
        after = await facts.change(ada, [fact(n) for n in range(130, 180)], ["m_129", "m_1"])
        assert (len(after.holding), len(after.facts)) == (54, 150)
        await facts.change(Whose("acme", "mara", "ada"), [fact(500)], ["m_179"])
        assert len((await facts.of(ada)).holding) == 54, "nobody ends another tenant's facts"
        before_s = time.time()
        assert len((await facts.of(ada, calling=True)).holding) == 54
        await facts.forget_old(before_s)
        assert not (await facts.of(Whose("acme", "mara", "ada"))).facts
        assert (await facts.of_agent("", "mara", 2)) == [("ada", fact(179)), ("ada", fact(178))]
        assert not (await facts.of(Whose("", "mara", "a\0b"))).facts
        assert await facts.forget(ada)
        assert await facts.of_agent("", "mara", 2) == []
