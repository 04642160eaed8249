"""What a caller seems to feel: by the sound where the pack has a classifier for it, otherwise by the words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from media_server.agents import Call
from media_server.audio import Samples
from media_server.engines.engines import Engines
from media_server.engines.messages import ChatMessage
from media_server.errors import EngineError
from media_server.events import Emotion, EmotionUpdated

__all__ = ["Emotions", "Feeling"]

PROMPT = "Name what the speaker feels, with one word out of: {words}."

Feeling = asyncio.Task[EmotionUpdated | None]
"""What becomes known of one turn; None where the model failed, for a conversation goes on without it."""


class Emotions:
    """`look` as soon as a turn may be over, `tell` when it is: after most pauses it is known by then.

    Args:
        start: starts a task that the call owns.
    """

    def __init__(
        self,
        call: Call,
        engines: Engines,
        emit: Callable[[EmotionUpdated], object],
        start: Callable[[Coroutine[Any, Any, EmotionUpdated | None], str], Feeling],
    ) -> None:
        self._call = call
        self._engines = engines
        self._emit = emit
        self._start = start

    def look(self, turn_id: str, text: str, sound: Samples | None = None) -> Feeling | None:
        """Look for the agent's emotions, if it has any, in what was said, and in what it sounded like (16 kHz)."""
        names = self._call.agent.emotions
        return self._start(self._find(turn_id, text, sound, names), "emotions") if names else None

    def tell(self, feeling: Feeling | None) -> None:
        """Tell it at once, or when it is known."""
        if feeling is None or feeling.cancelled():
            return
        if not feeling.done():
            feeling.add_done_callback(self.tell)
        elif not feeling.exception() and (found := feeling.result()):
            self._emit(found)

    async def _find(
        self, turn_id: str, text: str, sound: Samples | None, names: Sequence[str]
    ) -> EmotionUpdated | None:
        try:
            if sound is not None and set(names) & set(self._engines.heard_emotions):
                return EmotionUpdated(turn_id, await self._by_sound(sound, names), "audio")
            return EmotionUpdated(turn_id, await self._by_words(text, names), "text")
        except EngineError:
            return None

    async def _by_sound(self, sound: Samples, names: Sequence[str]) -> tuple[Emotion, ...]:
        shares = await self._engines.feel(sound)
        heard = {n: share for n, share in zip(self._engines.heard_emotions, shares, strict=True) if n in names}
        total = max(sum(heard.values()), 1e-9)
        return _sorted({n: share / total for n, share in heard.items()})

    async def _by_words(self, text: str, names: Sequence[str]) -> tuple[Emotion, ...]:
        """One look at the model's next token; nothing is generated."""
        system = ChatMessage("system", PROMPT.format(words=", ".join(names)))
        # a sequence of its own, so that the conversation's cache stays
        shares = await self._engines.choose(f"{self._call.id} emotions", (system, ChatMessage("user", text)), names)
        return _sorted(dict(zip(names, shares, strict=True)))


def _sorted(scores: dict[str, float]) -> tuple[Emotion, ...]:
    return tuple(Emotion(name, score) for name, score in sorted(scores.items(), key=lambda s: -s[1]))
