"""LiveKit's wire: its own clients, unmodified, join calls as if they were rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_server.server import Server
from tests.conftest import no_sessions, sentence_file
from tests.doors.livekit import call_of, own_token, program, way_to


@pytest.mark.parametrize("connections", [1, 2])
async def test_a_program_talks(server: Server, livekit_sdk: Path, connections: int) -> None:
    options = {"single_peer_connection": connections == 1}
    async with program(livekit_sdk) as client:
        client.do("connect", url=server.url, token=await own_token(server), options=options)
        await client.wait_for("connected", lambda e: e["identity"].startswith("caller-"))
        agent = await client.wait_for("subscribed", lambda e: e["who"] == "agent")
        assert agent["kind"] == 4
        client.do("publish")
        await client.wait_for("published")
        client.do("speak", path=str(sentence_file("where is my order four two seven")))
        await client.data(lambda m: m["type"] == "user.transcript" and m["final"])
        said = await client.wait_for("transcription", lambda e: e["who"] == "agent")
        assert said["text"] == "The status is shipped."
        client.do("speak", path=str(sentence_file("what is seven plus five")))
        await client.wait_for("transcription", lambda e: e["text"] == "Seven plus five is twelve.")
        heard = [e["text"] for e in client.events if e["event"] == "transcription" and e["final"] == "true"]
        assert "what is seven plus five" in heard
        assert await client.wait_for("attributes", lambda e: e.get("lk.agent.state") == "speaking")
        assert await client.wait_for("speakers", lambda e: "agent" in e["who"])
        # data to the agent, both as text and as LiveKit's own forms
        client.do("send", text='{"type": "text.send", "text": "what is one plus two"}')
        await client.wait_for("transcription", lambda e: e["text"] == "One plus two is three.")
        client.do("chat", text="what is two plus two")
        await client.wait_for("transcription", lambda e: e["text"] == "Two plus two is four.")
        client.do("report")
        assert (await client.wait_for("report"))["heard"] > 2
        client.do("leave")
        await client.wait_for("left")
        await no_sessions(server)


async def test_an_agent_is_called_and_says_it(server: Server, livekit_sdk: Path) -> None:
    async with program(livekit_sdk) as client:
        client.do("connect", url=server.url, token=await own_token(server, metadata={"userId": "ada"}))
        assert (await client.wait_for("connected"))["identity"] == "ada"
        await client.wait_for("subscribed")
        client.do("call", method="agent.say", payload='{"text": "Good morning."}')
        assert (await client.wait_for("answered"))["payload"] == "{}"
        await client.wait_for("transcription", lambda e: e["text"] == "Good morning.")
        client.do("call", method="agent.say", payload='{"text": 5}')
        assert (await client.wait_for("refused"))["code"] == 1500
        client.do("call", method="dance", payload="")
        assert await client.wait_for("refused", lambda e: e["code"] == 1400)
        client.do("attributes", attributes={"page": "prices"})
        await client.wait_for("set")
        # the agent hangs up
        call_of(server)[0].call.hangup()
        assert (await client.wait_for("disconnected"))["reason"] == 5
        await no_sessions(server)


@pytest.mark.parametrize("connections", [1, 2])
async def test_a_lost_socket_is_another_one(server: Server, livekit_sdk: Path, connections: int) -> None:
    options = {"single_peer_connection": connections == 1}
    async with way_to(server) as way, program(livekit_sdk) as client:
        client.do("connect", url=way.url, token=await own_token(server), options=options)
        client.do("publish")
        await client.wait_for("published")
        before = call_of(server)
        before[0].call.say("Hello there.")
        await client.wait_for("transcription", lambda e: e["text"] == "Hello there.")
        way.cut()
        # what is said meanwhile arrives
        before[0].call.say("One moment please.")
        await client.wait_for("transcription", lambda e: e["text"] == "One moment please.")
        await client.wait_for("reconnected")
        client.do("speak", path=str(sentence_file("what is seven plus five")))
        await client.wait_for("transcription", lambda e: e["text"] == "Seven plus five is twelve.")
        assert call_of(server) == before
        # where coming back is refused the client joins anew, and it is the same call
        session, line = before
        since = len(client.events)
        line.rejoin()
        await client.wait_for("reconnected", since=since)
        assert call_of(server)[0] is session
        assert call_of(server)[1] is not line
        client.do("chat", text="what is one plus two")
        await client.wait_for("transcription", lambda e: e["text"] == "One plus two is three.", since=since)
        client.do("leave")
        await client.wait_for("left")
        await no_sessions(server)
