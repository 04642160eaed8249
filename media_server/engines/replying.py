"""A reply while it is made: its tokens as text, thoughts and calls, and when it is to end."""

from __future__ import annotations

import codecs
import json
import logging
import re
from dataclasses import dataclass, field
from typing import Any

from media_server.engines import messages as m
from media_server.engines.aliases import ArgumentAliases
from media_server.engines.reader import MADE_UP, NOTHING_OFFERED, ReplyReader, Thought, Unopened, Unread
from media_server.engines.reading import Called, ReplyForm

__all__ = ["Replying", "closing", "reader_of"]

log = logging.getLogger(__name__)

HARMONY_END = "<|end|>"
MANY_LETTERS = 60
"""Letters of a reply that is held back after which its listener is told that it takes a moment."""
MAX_MARK = 16
"""Tokens of what may begin a thought."""
_WORDS = re.compile(r"\s*\w[\w\s'’,]*")
ANSWER = {HARMONY_END: "<|start|>assistant<|channel|>final<|message|>"}
"""What has to follow the mark that ends a thought, for the model to answer."""


def reader_of(form: ReplyForm, tools: str, in_thought: bool) -> ReplyReader:
    """The reader of a reply that may call these tools."""
    offered = frozenset(each["function"]["name"] for each in json.loads(tools)) if tools else frozenset[str]()
    return form.reader(offered, in_thought, tools)


@dataclass(slots=True)
class Replying:
    """Turns the bytes of a reply into results.

    Args:
        left: tokens that may still be said.
        thinking_left: tokens that may still be thought.
        thinking: the reply begins within a thought.
        offers: there are tools that may be called.
        holding: the reply may begin within a thought that no mark begins; what may be one is not told.
    """

    request_id: int
    reader: ReplyReader
    labels: ArgumentAliases | None
    left: int
    thinking_left: int
    thinking: bool
    offers: bool
    holding: bool = False
    done: bool = False
    unopened: bool = False
    """It began within a thought that no mark began."""
    _held: int = 0
    """Tokens of which nothing has come yet: of a mark, or of a call."""
    _pieces: bool = False
    """Something came of the last token."""
    _told: bool = False
    """The client was told that the model thinks."""
    _answered: bool = False
    """Something was said."""
    _kept: str = ""
    """What is held back."""
    _ended_unopened: bool = False
    """A thought has ended that no mark began, if something comes after it."""
    _nested: bool = False
    _called: bool = False
    _unread: list[str] = field(default_factory=list)
    """Why parts of the reply are not understood."""
    _decoder: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))

    def push(self, piece: bytes) -> list[m.Result]:
        """The results of one more token; `done` if they end the reply."""
        thought = self.thinking
        results = self._read(self._decoder.decode(piece))
        self._held += 1
        if self._pieces:
            if self.thinking or self.holding:
                self.thinking_left -= self._held
            else:
                # of what was held back behind a thought most was the mark at its end
                self.left -= 1 if thought else self._held
            self._held = 0
        begun = self._pieces or self._answered or self._called or self._held > MAX_MARK
        # words that may lead to a call are words of the answer, as long as none has come
        begun = begun or bool(_WORDS.fullmatch(self.reader.held))
        if self.left - self._held <= 0 and begun and not self.thinking and not self.holding and not self.done:
            results += self.end("length")
        return results

    def end(self, reason: str = "stop") -> list[m.Result]:
        """The results of the reply's end."""
        results = self._read(self._decoder.decode(b"", True), last=True)
        if self.done:
            return results
        self.done = True
        # a call that was meant and cannot be read leaves the caller waiting; one that was not asked for does not
        missed = next((why for why in self._unread if why not in (NOTHING_OFFERED, MADE_UP)), "")
        if self._unread and not self._called and (not self._answered or (missed and self.offers)):
            why = missed or self._unread[0]
            failed = f"The model's call of a tool cannot be read: {why}."
            return [*results, m.Failed(self.request_id, "broken_tool_call", failed)]
        return [*results, m.Finished(self.request_id, reason)]

    def _read(self, text: str, last: bool = False) -> list[m.Result]:
        pieces = self.reader.push(text)
        if last:
            pieces += self.reader.flush()
        self._pieces = bool(pieces)
        results: list[m.Result] = []
        for piece in pieces:
            if self._ended_unopened and not (isinstance(piece, str) and not piece.strip()):
                results += self._without_a_thought()
            self.thinking = isinstance(piece, Thought)
            if not isinstance(piece, str | Unopened):
                results += self._released()
            match piece:
                case Thought():
                    if piece.text.strip():
                        results += self._thinks()
                case Unopened():
                    self._ended_unopened = True
                case Called():
                    self._called = True
                    arguments = self.labels.meant(*piece) if self.labels else piece.arguments
                    results.append(m.CalledTool(self.request_id, piece.name, arguments))
                case Unread():
                    log.warning("skipped a part of a reply that could not be parsed: %s", piece.why)
                    self._unread.append(piece.why)
                case _ if self.holding or self._may_be_thought():
                    self._kept += piece
                    if len(self._kept) > MANY_LETTERS:
                        results += self._thinks()
                case _:
                    self._answered = self._answered or bool(piece.strip())
                    results.append(m.TextChunk(self.request_id, piece))
        if last:
            results += self._released()
        return results

    def _thinks(self) -> list[m.Result]:
        told, self._told = self._told, True
        return [] if told else [m.Thinking(self.request_id)]

    def _may_be_thought(self) -> bool:
        """Whether a thought that another stood in may still go on, which is asked once."""
        if self.reader.nested and not self._nested:
            self._nested = self.holding = True
        return self.holding

    def _without_a_thought(self) -> list[m.Result]:
        """What was said is a thought, as its end shows and the answer behind it."""
        told = self._answered
        self._ended_unopened, self.unopened = False, True
        self.holding, self._kept, self._answered = False, "", False
        return [m.Withdrawn(self.request_id)] if told else []

    def _released(self) -> list[m.Result]:
        """What was held back is said."""
        kept, self._kept, self.holding = self._kept, "", False
        self._answered = self._answered or bool(kept.strip())
        return [m.TextChunk(self.request_id, kept)] if kept else []


def closing(end: str) -> str:
    """What ends a thought that has become too long, so that the answer follows.

    Args:
        end: the mark that ends thoughts.
    """
    return f"{end}{ANSWER[end]}" if end in ANSWER else f"\n{end}\n\n"
