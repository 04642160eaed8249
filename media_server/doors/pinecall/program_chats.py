"""Conversations in writing that Pinecall's programs lead themselves, with any agent that their key reaches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from media_server import events as e
from media_server.call import Chat
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.dialect import PinecallChat
from media_server.doors.pinecall.followed_call import chat_messages
from media_server.errors import ClientError
from media_server.http.access import Access
from media_server.store import Key
from media_server.switchboard import CallGrant, Switchboard

__all__ = ["LedChats"]


class LedChats:
    """The chats of one program, by its names for them; `leave` ends them.

    Args:
        send: takes what the program is told.
    """

    def __init__(
        self, sessions: Switchboard, access: Access, key: Key | None, send: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._sessions = sessions
        self._access = access
        self._key = key
        self._send = send
        self._chats: dict[str, tuple[Chat, asyncio.Task[None]]] = {}

    async def write(self, message: p.LlmChat) -> None:
        """Say something in a chat, which begins with the first message.

        Raises:
            ClientError: the agent is not there, or cannot take a chat now.
        """
        name = message.session_id
        if name not in self._chats:
            chat = await self._open(message)
            self._chats[name] = chat, asyncio.create_task(self._tell(chat, name))
            self._send({"event": "llm.chat.started", "session_id": name, "call_id": chat.call_id})
        self._chats[name][0].call.receive(e.TextSend(type="text.send", text=message.text))

    async def leave(self) -> None:
        """The program is gone."""
        for chat, _ in self._chats.values():
            chat.hang_up("client_hangup")
        tasks = [task for _, task in self._chats.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, message: p.LlmChat) -> Chat:
        try:
            self._access.agent(self._key, message.agent_id)
            return await self._sessions.open_chat(message.agent_id, CallGrant(self._key))
        except ClientError as refused:
            code = "UNKNOWN_AGENT" if refused.status == 404 else refused.code.upper()
            about = {"session_id": message.session_id, "agent_id": message.agent_id}
            self._send({"event": "llm.chat.error", **about, "error": refused.message, "code": code})
            raise ClientError(code, refused.message) from refused

    async def _tell(self, chat: Chat, name: str) -> None:
        dialect = PinecallChat(cumulative=False)

        async def send(envelope: e.Envelope) -> None:
            for each in chat_messages(dialect, envelope, name):
                self._send(each)

        await chat.serve(send, -1)
        del self._chats[name]
