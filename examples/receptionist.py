"""A receptionist: books appointments and connects callers. Remembers the day while it asks for the time.

    .venv/bin/media-server serve examples

Ask "do you have time on friday", then "at nine", or say "connect me to sales".
"""

from __future__ import annotations

from media_server import Agent, Call, tool

CALENDAR: dict[tuple[str, str], str] = {}
"""By day and time, the call that booked it."""


@tool
async def book_appointment(day: str, time: str, call: Call) -> str:
    """Book an appointment.

    Args:
        day: day of the week
        time: time of day
    """
    if (day, time) in CALENDAR:
        raise ValueError("it is closed")  # taken: the model tells the caller
    CALENDAR[day, time] = call.id
    call.send("appointment", {"day": day, "time": time})  # the page may show it
    return "ok"


@tool
async def transfer_call(department: str, call: Call) -> str:
    """Transfer the call to a department.

    Args:
        department: sales, support or billing
    """
    call.forward(department)
    return "ok"


receptionist = Agent(
    "receptionist",
    prompt="You are Nova, the voice of a clinic. Be brief.",
    greeting="Hello! I am Nova. How can I help you?",
    turns="patient",
    tools=[book_appointment, transfer_call],
)
