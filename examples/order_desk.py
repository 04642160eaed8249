"""An order desk: looks orders up in a database, and forwards callers to people.

    .venv/bin/media-server serve examples

Ask "where is my order four two seven", say "transfer me to billing", or "goodbye".
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from media_server import Agent, Call, tool

DATABASE = Path(__file__).with_name("orders.sqlite")
ORDERS = [("427", "shipped"), ("4279", "packed"), ("1234", "delivered")]


def connect() -> sqlite3.Connection:
    """The orders; a database with some is made where there is none."""
    database = sqlite3.connect(DATABASE)
    with database:
        database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, status TEXT NOT NULL)")
        database.executemany("INSERT OR IGNORE INTO orders VALUES (?, ?)", ORDERS)
    return database


@tool(speculative=True)  # it only reads: it may run while it is not sure yet that the caller is done
def get_order_status(order_id: str) -> dict[str, str]:
    """Get the status of an order.

    Args:
        order_id: the order number
    """
    database = connect()
    try:
        row = database.execute("SELECT status FROM orders WHERE id = ?", (order_id,)).fetchone()
    finally:
        database.close()
    if row is None:
        raise LookupError("not found")  # the model is told, and tells the caller
    return {"status": row[0]}


@tool
async def transfer_call(department: str, call: Call) -> str:
    """Transfer the call to a department.

    Args:
        department: sales, support or billing
    """
    call.forward(department)  # once the agent has said so
    return "ok"


@tool
async def hang_up(call: Call) -> str:
    """Hang up."""
    call.hangup(after_speech=True)
    return "ok"


desk = Agent(
    "order-desk",
    prompt="You are Mara. Be concise and warm.",
    greeting="Hello! I am Mara. How can I help you?",
    tools=[get_order_status, transfer_call, hang_up],
)
