"""A person who takes over calls of Pinecall's programs: one, all with a contact, or all of an agent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from media_server.agents import contact_of
from media_server.call import RunningCall
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.followed_call import FollowedCall
from media_server.errors import ClientError
from media_server.switchboard import Switchboard

__all__ = ["Takeover"]

MAX_CONTACTS = 10_000
"""Contacts whose calls a program's agents leave to a person."""


class Takeover:
    """`take` does what a program says of a takeover; `begin` pauses a call whose agent or contact is taken over.

    Args:
        agents: names of the program's agents.
        calls: its calls under way, by their ids.
        send: takes what the program is told.
    """

    def __init__(
        self,
        agents: Collection[str],
        calls: Mapping[str, FollowedCall],
        sessions: Switchboard,
        send: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._agents = agents
        self._calls = calls
        self._sessions = sessions
        self._send = send
        self._paused: set[str] = set()
        """Agents that answer nothing until they are resumed."""
        self._contacts: set[tuple[str, str]] = set()
        """An agent and a contact whose calls it does not answer until it is resumed."""

    def begin(self, call_id: str) -> None:
        """A call has begun."""
        for session in self._under_way():
            if session.call_id == call_id:
                name = self._calls[call_id].agent_id
                if name in self._paused or (name, contact_of(session.call.metadata)) in self._contacts:
                    session.call.pause()

    def take(self, message: p.SessionCommand) -> None:
        """A person takes over, gives back, or says something.

        Raises:
            ClientError: there is no such agent or call, or nothing to be said.
        """
        match message.event:
            case "session.send":
                self._say(message)
            case "session.pause":
                self._mark(message, "session.paused", self._paused.add, self._contacts.add)
                for session in self._meant(message):
                    session.call.pause()
            case "session.resume":
                self._mark(message, "session.resumed", self._paused.discard, self._contacts.discard)
                for session in self._meant(message):
                    session.call.resume()

    def _say(self, message: p.SessionCommand) -> None:
        if message.text is None:
            raise ClientError("BAD_MESSAGE", "session.send: text: say what is to be said.")
        if message.session_id is None and not message.contact:
            raise ClientError("BAD_MESSAGE", "session.send: session_id or contact: say to whom.")
        found = self._meant(message)
        if not found:
            raise ClientError("UNKNOWN_CALL", "There is no such call; it may be over.")
        for session in found:
            session.call.say(message.text)
            about = {"contact": message.contact} if message.contact else {}
            name = self._calls[session.call_id].agent_id
            self._send({"event": "session.sent", "agent_id": name, "session_id": session.call_id, **about})

    def _mark(
        self,
        message: p.SessionCommand,
        done: str,
        agent: Callable[[str], None],
        contact: Callable[[tuple[str, str]], None],
    ) -> None:
        """Note it for the calls to come, where the message means no single call."""
        if message.session_id is not None:
            return
        for name in self._named(message):
            if message.contact:
                if len(self._contacts) >= MAX_CONTACTS and done == "session.paused":
                    raise ClientError("TOO_MANY", f"{MAX_CONTACTS} contacts are paused already.")
                contact((name, message.contact))
                self._send({"event": done, "agent_id": name, "contact": message.contact})
            else:
                agent(name)
                if done == "session.resumed":
                    self._contacts -= {each for each in self._contacts if each[0] == name}
                self._send({"event": done, "agent_id": name})

    def _named(self, message: p.SessionCommand) -> Collection[str]:
        """The agents that are meant: the one that is named, or all."""
        if message.agent_id is None:
            return list(self._agents)
        if message.agent_id not in self._agents:
            raise ClientError("UNKNOWN_AGENT", f"This program has not created an agent {message.agent_id!r}.")
        return [message.agent_id]

    def _meant(self, message: p.SessionCommand) -> list[RunningCall]:
        if (call_id := message.session_id) is not None:
            found = [each for each in self._under_way() if each.call_id == call_id]
            if not found:
                text = f"There is no call {call_id!r} of this program's agents; it may be over."
                raise ClientError("UNKNOWN_CALL", text)
            return found
        names = self._named(message)
        return [
            each
            for each in self._under_way()
            if self._calls[each.call_id].agent_id in names
            and message.contact in (None, "", contact_of(each.call.metadata))
        ]

    def _under_way(self) -> list[RunningCall]:
        return [each for each in self._sessions.conversations() if each.call_id in self._calls]
