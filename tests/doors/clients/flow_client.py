"""A program for Speechmatics Flow, written with its own package: `flow_client.py URL KEY WAV`. Prints what it hears."""

import asyncio
import io
import json
import sys
import wave
from typing import Any

from speechmatics_flow.client import WebsocketClient
from speechmatics_flow.models import (
    AudioSettings,
    ClientMessageType,
    ConnectionSettings,
    ConversationConfig,
    Interaction,
    ServerMessageType,
)

TOOL = {
    "type": "function",
    "function": {
        "name": "get_order_status",
        "description": "Get the status of an order",
        "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
    },
}


async def main() -> None:
    url, key, path = sys.argv[1:]
    with wave.open(path) as w:
        rate, sound = w.getframerate(), w.readframes(w.getnframes())
    # the package sends up to four seconds ahead; what follows the question is the time to answer
    stream = io.BytesIO(sound + bytes(2 * rate * 10))
    client = WebsocketClient(ConnectionSettings(url=url, ssl_context=None, auth_token=key))
    received = 0

    def show(message: dict[str, Any]) -> None:
        print(json.dumps(message), flush=True)

    def count(sound: bytes) -> None:
        nonlocal received
        received += len(sound)

    async def run_tool(message: dict[str, Any]) -> None:
        show(message)
        result = {"message": ClientMessageType.ToolResult, "id": message["id"], "status": "ok", "content": "shipped"}
        await client.websocket.send(json.dumps(result))

    for kind in ServerMessageType:
        handler = {ServerMessageType.AddAudio: count, ServerMessageType.ToolInvoke: run_tool}.get(kind, show)
        if kind is not ServerMessageType.AudioAdded:
            client.add_event_handler(kind, handler)
    await client.run(
        interactions=[Interaction(stream)],
        audio_settings=AudioSettings(sample_rate=rate),
        conversation_config=ConversationConfig(template_id="default"),
        tools=[TOOL],
    )
    print(json.dumps({"message": "AudioReceivedInAll", "bytes": received}))


asyncio.run(main())
