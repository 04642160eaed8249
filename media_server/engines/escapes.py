"""Marks that a model escaped, as pages and Markdown want it: `&lt;tool_call&gt;`, `\\<tool_call>`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["ESCAPES", "Escape"]

_ENTITIES = (
    (re.compile(r"&(?:amp;){1,3}(?=#|lt;|gt;|quot;|apos;)", re.IGNORECASE), "&"),
    (re.compile(r"&(?:lt|#60|#x3c);", re.IGNORECASE), "<"),
    (re.compile(r"&(?:gt|#62|#x3e);", re.IGNORECASE), ">"),
    (re.compile(r"&(?:quot|#34|#x22);", re.IGNORECASE), '"'),
    (re.compile(r"&(?:apos|#0?39|#x27);", re.IGNORECASE), "'"),
    (re.compile(r"&amp;", re.IGNORECASE), "&"),
)
_MARKDOWN = re.compile(r"(?<!\\)\\([<>_\[\]{}()*`#|~/.\-])")
_LIKE = re.compile(r"[‹＜«](\s?/?[\w:|｜▁.\-]{2,60})[›＞»]")
_CODES = re.compile(r"\\u003([cCeE])")


def _entities(text: str) -> str:
    for pattern, char in _ENTITIES:
        text = pattern.sub(char, text)
    return text


def _codes(text: str) -> str:
    return _CODES.sub(lambda m: "<" if m[1] in "cC" else ">", text)


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\1", text)


def _like(text: str) -> str:
    return _LIKE.sub(r"<\1>", text)


class Escape:
    """One way to escape marks.

    Args:
        plain: makes the marks in a text what they were.
        begins: what an escaped mark begins with.
        begun: what may become that, at the end of a text.
        half: what may become an escaped character, at the end of a text.
    """

    def __init__(self, plain: Callable[[str], str], begins: str, begun: str, half: str) -> None:
        self.plain = plain
        self._begins = re.compile(begins, re.IGNORECASE)
        self._begun = re.compile(rf"(?:{begun})\Z", re.IGNORECASE)
        self._half = re.compile(rf"(?:{half})\Z", re.IGNORECASE)

    def begins(self, text: str, at: int, last: bool) -> bool | None:
        """Whether an escaped character begins here; None if that shows later."""
        if self._begins.match(text, at):
            return True
        return None if not last and self._begun.match(text, at) else False

    def split(self, text: str, last: bool) -> tuple[str, str]:
        """The text as it was before it was escaped, and what may become an escaped character."""
        half = None if last else self._half.search(text)
        end = half.start() if half else len(text)
        return self.plain(text[:end]), text[end:]


_AMP = r"&(?:amp;|am?p?|a)?(?:amp;|am?p?)?"
_LETTERS = r"(?:l|lt|g|gt|q|qu|quo|quot|ap|apo|apos|#|#x|#x?[0-9a-f]{1,2})?"
ESCAPES = (
    Escape(_entities, r"&(?:amp;){0,2}(?:lt|#60|#x3c);", rf"{_AMP}{_LETTERS}", rf"{_AMP}{_LETTERS}"),
    Escape(_codes, r"\\u003c", r"\\(?:u(?:0(?:0(?:3)?)?)?)?", r"\\(?:u(?:0(?:0(?:3)?)?)?)?"),
    Escape(_markdown, r"\\[<\[]|<[a-z|｜/]{1,30}\\_|\[[a-z/]{1,30}\\_", r"\\|[<\[][a-z|｜/]{0,30}\\?", r"\\"),
    Escape(
        _like,
        r"[‹＜«]\s?/?[\w:|｜▁.\-]{2,60}[›＞»]",
        r"[‹＜«]\s?/?[\w:|｜▁.\-]{0,60}",
        r"[‹＜«]\s?/?[\w:|｜▁.\-]{0,60}",
    ),
)
