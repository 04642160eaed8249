"""What a caller writes never becomes one of a model's control tokens. Pure.

Tokenizers turn the text of a control token into that token wherever it stands. So a seam is put into each such text
in what others than the template have written, and where one could come about together with what stands beside it. A
prompt is tokenized piece by piece, parted at the seams, which are then gone. Text without such marks has no seam, so it
gets the same tokens as ever.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from msgspec import structs

from media_server.engines.messages import ChatMessage

__all__ = ["SEAM", "Guard", "marks_like", "pieces", "taken_out"]

SEAM = "\uf8fe"
"""A character of no meaning; it is taken out of what others write."""
_ESCAPED_SEAM = "\\uf8fe"
"""How Python writes it in a list or a dictionary."""
_TAKEN_OUT = re.compile(r"""\.(?:replace|split|partition|rpartition|rsplit)\(\s*(?:'([^'\\]{2,})'|"([^"\\]{2,})")""")
_LIKE_A_MARK = re.compile(r"<.+>|\[[A-Z_/]+\]", re.DOTALL)


class Guard:
    """Puts seams into texts.

    Args:
        marks: texts of tokens that nobody but the template may write.
    """

    def __init__(self, marks: Iterable[str]) -> None:
        whole = {mark for mark in marks if mark}
        self._single = re.compile("|".join(map(re.escape, {SEAM, *(m for m in whole if len(m) == 1)})))
        self._marks = {mark for mark in whole if len(mark) > 1}
        self._lengths = sorted({len(mark) for mark in self._marks})
        self._firsts = re.compile("|".join(map(re.escape, {mark[0] for mark in self._marks})) or "$^")
        self._beginnings = {mark[:n] for mark in self._marks for n in range(1, len(mark))}
        self._endings = {mark[n:] for mark in self._marks for n in range(1, len(mark))}

    def text(self, text: str) -> str:
        """The text with seams where it could become a control token."""
        text = self._single.sub("", text)
        seams = set()
        for found in self._firsts.finditer(text):
            at = found.start()
            if any(text[at : at + n] in self._marks for n in self._lengths):
                seams.add(at + 1)
        # a template cuts off the space around it
        begin, end = len(text) - len(text.lstrip()), len(text.rstrip())
        longest = self._lengths[-1] if self._lengths else 0
        if any(text[begin : begin + n] in self._endings for n in range(1, min(longest, end - begin + 1))):
            seams.add(begin)
        if any(text[end - n : end] in self._beginnings for n in range(1, min(longest, end - begin + 1))):
            seams.add(end)
        for at in sorted(seams, reverse=True):
            text = text[:at] + SEAM + text[at:]
        return text

    def json(self, text: str) -> str:
        """A JSON text, its strings and names with seams.

        Raises:
            ValueError: it is none.
        """
        return json.dumps(self._value(json.loads(text)), ensure_ascii=False)

    def message(self, message: ChatMessage) -> ChatMessage:
        """A message, all that stands in it with seams."""
        calls = tuple(
            structs.replace(c, name=self.text(c.name), arguments=self.json(c.arguments)) for c in message.tool_calls
        )
        return structs.replace(message, content=self.text(message.content), tool_calls=calls)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(k): self._value(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._value(v) for v in value]
        return value


def pieces(prompt: str) -> list[str]:
    """A prompt parted at its seams."""
    return [p for p in prompt.replace(_ESCAPED_SEAM, SEAM).split(SEAM) if p]


def taken_out(template: str) -> set[str]:
    """Texts that a template takes out of messages, so that what stands around them comes together."""
    return {a or b for a, b in _TAKEN_OUT.findall(template)}


def marks_like(text: str) -> bool:
    """Whether an ordinary token looks like a mark: `<tool_call>`, `[INST]`, and no run of spaces."""
    return bool(_LIKE_A_MARK.fullmatch(text))
