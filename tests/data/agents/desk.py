"""Agents with code: what their tools did is kept in `DONE`, for the tests to look at."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

from media_server import Agent, Call, tool

DONE: list[Any] = []
PROMPT = "You are a helpful voice assistant. Be concise and warm."


@tool
async def get_order_status(order_id: str) -> dict[str, str]:
    """Get the status of an order.

    Args:
        order_id: the order number
    """
    DONE.append(("order", order_id))
    return {"status": "shipped"}


@tool(ephemeral=True)
async def get_weather(city: str) -> dict[str, str]:
    """Get the weather in a city.

    Args:
        city: which city
    """
    DONE.append(("weather", city))
    return {"weather": "sunny"}


@tool
async def set_timer(amount: int, unit: str, call: Call) -> str:
    """Set a timer."""
    DONE.append(("timer", "began"))
    try:
        await call.say("One moment please.")
        await asyncio.sleep(0 if unit == "seconds" else 30)
        DONE.append(("timer", amount, unit))
    except asyncio.CancelledError:
        DONE.append(("timer", "cancelled"))
        raise
    return "ok"


@tool
async def transfer_call(department: str, call: Call) -> str:
    """Transfer the call to a department.

    Args:
        department: sales, support or billing
    """
    call.forward("billing-desk" if department == "billing" else department)
    return "ok"


@tool(name="hang_up")
async def end(call: Call) -> str:
    """End the call."""
    call.hangup(after_speech=True)
    return "ok"


@tool(timeout_s=0.2)
def get_time() -> str:
    """Get the current time."""
    time.sleep(0.5)
    return "late"


@tool
async def get_temperature(room: str) -> str:
    """Get the temperature of a room.

    Args:
        room: which room
    """
    raise RuntimeError("not found")


desk = Agent("desk", PROMPT, tools=[get_order_status, get_weather, transfer_call, end])
slow = Agent("slow", PROMPT, tools=[set_timer], answer_timeout_s=1)
broken = Agent("broken", PROMPT, tools=[get_time, get_temperature])
billing = Agent("billing-desk", PROMPT, greeting="Hello, this is billing.")
echo = Agent("echo")
slowly = Agent("slowly", answer_timeout_s=1.5)
humming = Agent("humming", comfort_sound="soft", comfort_s=0.5)


@echo.on_turn
async def answer(text: str, call: Call) -> AsyncGenerator[str, None]:
    if text == "goodbye":
        raise RuntimeError("no goodbyes")
    if text == "leave":
        sys.exit("nor leaves")
    if text == "hello":
        await call.say("Hello there!")
    if text == "half":
        call.set_variables(half="\ud800")
        call.send("half\ud800", {"\ud800": "\udcff"})
        await call.say("This is half \ud83d a sign.")
        yield "So is \ud800 this."
        raise OSError("no file \udcff")
    yield "You said "
    yield f"{text}."
    call.send("echoed", {"text": text, "share": 0.12345})


@slowly.on_turn
async def answer_slowly(text: str, call: Call) -> AsyncGenerator[str, None]:
    said = "Sorry did you mean the swimming class that is held on Monday evening or the other one"
    for word in said.split():
        yield f" {word}"
        await asyncio.sleep(0.4)


@humming.on_turn
async def look_up(text: str, call: Call) -> AsyncGenerator[str, None]:
    await asyncio.sleep(2)
    await call.say("You cannot stop this notice.", interruptible=False)
    yield "Seven."


@echo.on("call.started")
async def greet(call: Call) -> None:
    await call.say("Welcome.")
    call.send("greeted", call.transcript)


@echo.on("call.ended")
async def note(event: dict[str, Any], call: Call) -> None:
    DONE.append(("ended", event["reason"], call.id))


@echo.on("user.transcript")
async def fail(event: dict[str, Any], call: Call) -> None:
    raise RuntimeError("this must not end the call")


@echo.on("user.transcript")
async def leave(call: Call) -> None:
    sys.exit("nor this the server")
