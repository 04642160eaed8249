"""The examples, as a developer runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from media_server.audio import Samples
from media_server.caller import Caller
from media_server.config import Settings
from media_server.server import running_server

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


async def test_the_order_desk_looks_up_an_order_and_forwards(sentence: Callable[[str], Samples]) -> None:
    async with running_server(Settings(port=0, agents_dir=EXAMPLES)) as server:
        await server.ready(60)
        async with Caller(server.url, "order-desk") as caller:
            await caller.wait_for("agent.speech_stopped", lambda e: e["heard"].startswith("Hello! I am Mara."))
            since = len(caller.events)
            caller.speak(sentence("where is my order four two seven"))
            stopped = await caller.wait_for("agent.speech_stopped", since=since)
            assert stopped["heard"] == "The status is shipped."
            since = len(caller.events)
            caller.speak(sentence("transfer me to billing"))
            stopped = await caller.wait_for("agent.speech_stopped", since=since)
            assert stopped["heard"] == "Of course, I am connecting you to billing."
            assert (await caller.wait_for("call.forwarded"))["to"] == "billing"
            assert (await caller.wait_for("call.ended"))["reason"] == "forwarded"
