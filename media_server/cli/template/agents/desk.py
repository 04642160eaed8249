"""The agent: who answers a call, and what it can do.

Start it:      media-server serve --reload
Talk with it:  open http://127.0.0.1:8080/?agent=desk, or  media-server call --agent desk
"""

from media_server import Agent, Call, tool

ORDERS = {"427": "shipped", "1234": "delivered"}


@tool(speculative=True)  # it only reads, so it may run before it is certain that the caller has finished
def get_order_status(order_id: str) -> dict[str, str]:
    """Get the status of an order.

    Args:
        order_id: the order number
    """
    if order_id not in ORDERS:
        raise LookupError("not found")  # the model reads this, and tells the caller
    return {"status": ORDERS[order_id]}


@tool
async def hang_up(call: Call) -> str:
    """Hang up."""
    call.hangup(after_speech=True)
    return "ok"


desk = Agent(
    "desk",
    prompt="You are Mara. You answer questions about orders. Be concise and warm.",
    greeting="Hello! I am Mara. How can I help you?",
    tools=[get_order_status, hang_up],
)
