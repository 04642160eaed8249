"""A language tutor whose lesson is code: it asks for words, checks the answers, and has the page keep the score.

    .venv/bin/media-server serve examples

The page gets an `agent.event` for each card: `card` with the word to say, `score` with what was right. As `on_turn`
answers in place of the model, the tutor works with any models.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from media_server import Agent, Call

LESSON = [("uno", "one"), ("dos", "two"), ("cuatro", "four"), ("siete", "seven")]
"""Spanish, and what the learner should say."""
RIGHT: dict[str, list[bool]] = {}
"""By call: which answers were right."""

tutor = Agent(
    "tutor",
    greeting="Let us learn numbers. Say the English word for each card.",
    turns="patient",
    hotwords=[english for _, english in LESSON],
)


@tutor.on("call.started")
async def begin(call: Call) -> None:
    RIGHT[call.id] = []
    call.send("card", {"word": LESSON[0][0]})


@tutor.on("call.ended")
async def forget(call: Call) -> None:
    RIGHT.pop(call.id, None)


@tutor.on_turn
async def check(text: str, call: Call) -> AsyncIterator[str]:
    answers = RIGHT[call.id]
    spanish, english = LESSON[len(answers)]
    answers.append(english in text.lower().split())
    call.send("score", {"word": spanish, "right": answers[-1], "of": len(LESSON), "points": sum(answers)})
    yield "That is right. " if answers[-1] else f"Not quite. It is {english}. "
    if len(answers) < len(LESSON):
        call.send("card", {"word": LESSON[len(answers)][0]})
        yield "The next one."
    else:
        yield f"You had {sum(answers)} of {len(LESSON)}. Goodbye!"
        call.hangup(after_speech=True)
