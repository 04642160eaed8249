"""LiveKit's wire: its own clients, unmodified, join calls as if they were rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import livekit_joins
from bench.server import measured_server
from media_server.server import Server
from tests.conftest import no_sessions, sentence_file
from tests.doors.livekit import call_of, media_cut, own_token, program, until, way_to


@pytest.mark.parametrize("connections", [1, 2])
async def test_a_program_holds_a_call(server: Server, livekit_sdk: Path, connections: int) -> None:
    options = {"single_peer_connection": connections == 1}
    order, total = (str(sentence_file(t)) for t in ("where is my order four two seven", "what is seven plus five"))

    async with way_to(server) as way, program(livekit_sdk) as client:

        async def said(text: str, since: int) -> None:
            await client.wait_for("transcription", lambda e: e["text"] == text, since=since)

        client.do("connect", url=way.url, token=await own_token(server), options=options)
        await client.wait_for("connected", lambda e: e["identity"].startswith("caller-"))
        agent = await client.wait_for("subscribed", lambda e: e["who"] == "agent")
        assert agent["kind"] == 4
        client.do("publish")
        await client.wait_for("published")
        session, line = call_of(server)
        client.do("speak", path=order)
        await client.data(lambda m: m["type"] == "user.transcript" and m["final"])
        await said("The status is shipped.", 0)
        client.do("speak", path=total)
        await said("Seven plus five is twelve.", 0)
        heard = [e["text"] for e in client.events if e["event"] == "transcription" and e["final"] == "true"]
        assert "what is seven plus five" in heard
        assert await client.wait_for("attributes", lambda e: e.get("lk.agent.state") == "speaking")
        assert await client.wait_for("speakers", lambda e: "agent" in e["who"])
        # data to the agent, both as text and as LiveKit's own forms
        client.do("send", text='{"type": "text.send", "text": "what is one plus two"}')
        await said("One plus two is three.", 0)
        client.do("chat", text="what is two plus two")
        await said("Two plus two is four.", 0)
        client.do("report")
        assert (await client.wait_for("report"))["heard"] > 2
        # the caller interrupts, and is answered
        since = len(client.events)
        session.call.say("Let me tell you all about our opening hours. " * 4)
        await client.data(lambda m: m["type"] == "agent.word" and m["text"] == "opening")
        client.do("speak", path=total)
        await client.data(lambda m: m["type"] == "agent.speech_stopped" and m["reason"] == "interrupted")
        await said("Seven plus five is twelve.", since)
        client.do("mute", muted=True)
        await client.wait_for("muted")
        await until(lambda: line.room.caller.tracks[0].muted)
        client.do("mute", muted=False)
        # the socket for signalling is lost, and what is said meanwhile arrives
        since = len(client.events)
        way.cut()
        session.call.say("One moment please.")
        await said("One moment please.", since)
        await client.wait_for("reconnected", since=since)
        assert call_of(server) == (session, line)
        # no packet of its sound or data comes through for a while: it joins anew, and it is the same call
        since = len(client.events)
        with media_cut():
            await client.wait_for("reconnecting", since=since)
        await client.wait_for("reconnected", since=since)
        assert call_of(server)[0] is session
        assert call_of(server)[1] is not line
        client.do("speak", path=total)
        await said("Seven plus five is twelve.", since)
        client.do("leave")
        await client.wait_for("left")
        await no_sessions(server)
        assert session.reason == "client_hangup"


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


async def test_a_hundred_join_and_publish_at_once(tmp_path: Path) -> None:
    """Callers that decode nothing: a hundred of those that do are more than a machine can bear."""
    (tmp_path / "greeter.toml").write_text(livekit_joins.AGENT)
    async with measured_server(str(tmp_path), "--max-calls", "200") as server:
        found = await livekit_joins.measure_light(server.url, calls=100, at_once=100, patience_s=120)
    assert [each for each in found if each.keys() != {"joined", "connected", "was heard", "heard the agent"}] == []
