"""The model's side: the reply's tokens to text events and clauses."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from media_server.call.clauses import ClauseCutter
from media_server.engines.client import Engines
from media_server.engines.messages import ChatMessage
from media_server.events import AgentText, AgentTextDelta, Event

__all__ = ["reply_clauses"]


async def reply_clauses(
    turn_id: str,
    engines: Engines,
    call_id: str,
    messages: tuple[ChatMessage, ...],
    max_tokens: int,
    emit: Callable[[Event], None],
    on_first_token: Callable[[], None],
) -> AsyncGenerator[str, None]:
    """The clauses of the reply to `messages`, each as soon as it is complete.

    Raises:
        EngineError: the model failed.
    """
    cutter, text = ClauseCutter(), ""
    async with engines.generate(call_id, messages, max_tokens) as pieces:
        async for piece in pieces:
            if not text:
                on_first_token()
            text += piece
            emit(AgentTextDelta(turn_id, piece))
            for clause in cutter.push(piece):
                yield clause
    emit(AgentText(turn_id, text.strip()))
    for clause in cutter.flush():
        yield clause
