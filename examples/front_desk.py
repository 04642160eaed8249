"""A front desk: answers from documents, and hands callers who want a person over to one.

    .venv/bin/media-server serve examples

Ask "when are you open" (the starter models cannot use documents: fetch others), or say "transfer me to billing": the
agent says so and then is silent, until a person who listens in (the console, or /live/CALL/player) gives the call back.
"""

from __future__ import annotations

from typing import Any

from media_server import Agent, Call, tool

WANTED: set[str] = set()
"""Calls whose callers have asked for a person and are still to be told so."""


@tool
async def transfer_call(department: str, call: Call) -> str:
    """Transfer the call to a person of a department.

    Args:
        department: sales, support or billing
    """
    WANTED.add(call.id)
    call.send("person.wanted", {"department": department})  # who watches the call is told
    return "ok"


desk = Agent(
    "front-desk",
    prompt="You are Nora at the front desk. Answer from the documents, in one sentence.",
    greeting="Hello! I am Nora. How can I help you?",
    knowledge="front_desk_documents",
    tools=[transfer_call],
    person_notice="You are talking to a person now.",
)


@desk.on("agent.speech_stopped")
async def hand_over(event: dict[str, Any], call: Call) -> None:
    """Be silent for the person, once the caller has heard what happens."""
    if call.id in WANTED:
        WANTED.discard(call.id)
        call.pause()


@desk.on("call.ended")
async def forget(call: Call) -> None:
    WANTED.discard(call.id)
