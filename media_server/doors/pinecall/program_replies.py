"""What one of Pinecall's programs says in its calls: whole, in pieces, and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from media_server.call.call import Call
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.followed_call import FollowedCall
from media_server.doors.pinecall.program_questions import Questions

__all__ = ["Replies"]


class Replies:
    """Give it the messages with which a program speaks (`take`).

    Args:
        questions: knows which turns wait for an answer.
        send: sends the program a message.
    """

    def __init__(self, questions: Questions, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._questions = questions
        self._send = send

    def take(self, message: p.BotReply | p.BotReplyStream | p.BotCancel, call: Call, followed: FollowedCall) -> None:
        """Do what a message says.

        Raises:
            ClientError: more is said than can be.
        """
        match message:
            case p.BotReply():
                self._reply(message, call, followed)
            case p.BotReplyStream():
                self._stream(message, call, followed)
            case p.BotCancel(event="bot.cancel", message_id=message_id) if message_id:
                self._cancel(message_id, call, followed)
            case p.BotCancel():
                followed.cancel()
                call.interrupt()

    def _reply(self, message: p.BotReply, call: Call, followed: FollowedCall) -> None:
        if newer := followed.overtaken(message.in_reply_to):
            self._reject(message, followed, newer)
        elif turn := self._questions.turn(call.id):
            followed.answered(message.message_id)
            if message.add_to_history:
                turn.put_nowait(message.text)
            else:
                call.say(message.text, remember=False)  # within the answer
            turn.put_nowait(None)
        else:
            self._say(call, followed, message.text, message.message_id, message.add_to_history)

    def _say(self, call: Call, followed: FollowedCall, text: str, message_id: str, remember: bool = True) -> None:
        """Have something said; whoever waits in the program for its end is told of it, wherever it was said."""
        heard: asyncio.Future[bool] = call.say(text, remember=remember)
        followed.expect(text, message_id, heard)

        def said(heard: asyncio.Future[bool]) -> None:
            for message in followed.said(text, message_id, not heard.cancelled() and heard.result()):
                self._send(message)

        heard.add_done_callback(said)

    def _cancel(self, message_id: str, call: Call, followed: FollowedCall) -> None:
        """Stop one reply: it waits, is said, or is the answer under way; one that is over stays as it was."""
        if message_id in followed.unfinished:
            del followed.unfinished[message_id]
            cut = {"played_ms": 0, "words_spoken": 0, "reason": "cancelled"}
            of = {"agent_id": followed.agent_id, "call_id": call.id, "message_id": message_id}
            self._send({"event": "bot.interrupted", **of, **cut})
        elif heard := followed.sayings.get(message_id):
            if message_id == followed.speaking:
                followed.cancel()
            call.withdraw(heard)
        elif message_id == followed.speaking or followed.answers(message_id):
            followed.cancel()
            call.interrupt()

    def _reject(self, message: p.BotReply | p.BotReplyStream, followed: FollowedCall, newer: str) -> None:
        """An answer to a turn that another one has followed."""
        for answer in followed.rejected(message.message_id, message.in_reply_to, newer):
            self._send(answer)

    def _stream(self, message: p.BotReplyStream, call: Call, followed: FollowedCall) -> None:
        """Pieces of an answer as they come; what it says of its own accord is said when it is whole."""
        turn, mine = self._questions.turn(call.id), message.message_id in followed.unfinished
        if message.action == "start" and (newer := followed.overtaken(message.in_reply_to)):
            self._reject(message, followed, newer)
            return
        match message.action:
            case "start":
                if turn:
                    followed.answered(message.message_id)
                else:
                    followed.begin(message.message_id)
            case "chunk" if mine:
                followed.go_on(message.message_id, message.token)
            case "chunk" if turn and message.token:
                turn.put_nowait(message.token)
            case "end" if mine:
                if text := followed.unfinished.pop(message.message_id).strip():
                    self._say(call, followed, text, message.message_id)
            case "end" if turn:
                turn.put_nowait(None)
            case _:
                self._send(followed.rejection(message.message_id, message.in_reply_to, ""))
