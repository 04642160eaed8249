"""What a caller seems to feel, as the language model has it from the words."""

from __future__ import annotations

from collections.abc import Sequence

from media_server.engines.client import Engines
from media_server.engines.messages import ChatMessage
from media_server.events import Emotion

__all__ = ["emotions_of"]

PROMPT = "Name what the speaker feels, with one word out of: {words}."


async def emotions_of(engines: Engines, call_id: str, text: str, names: Sequence[str]) -> tuple[Emotion, ...]:
    """How well each name fits, together 1, the best first: one look at the model's next token, nothing is generated.

    Raises:
        EngineError: the model failed.
    """
    system = ChatMessage("system", PROMPT.format(words=", ".join(names)))
    # a sequence of its own, so that the conversation's cache stays
    shares = await engines.choose(f"{call_id} emotions", (system, ChatMessage("user", text)), names)
    found = (Emotion(name, share) for name, share in zip(names, shares, strict=True))
    return tuple(sorted(found, key=lambda e: -e.score))
