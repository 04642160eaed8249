"""Values as models write them: JSON, Python's literals, calls in Python's form, and JSON with the usual slips. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from media_server.jsonable import sound

__all__ = ["Balance", "Invocation", "Values", "json_text"]

DEEPEST = 48
"""Values within values."""
_WORD = re.compile(r"[^\W\d][\w.\-]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_KEYWORD = re.compile(r"""(?:([^\W\d][\w\-]*)\s*=(?!=)|["']?([^\W\d][\w\-]*)["']?\s*[:=](?!=)\s*(?=[^\s,)]))""")
"""The name of an argument, also in quotes or before a colon."""
_BARE = re.compile(r"[^,}\])\n]+")
_SPACE = re.compile(r"(?:\s|#[^\n]*\n|//[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*")
_QUOTES = {'"""': '"""', "'''": "'''", '<|"|>': '<|"|>', "<escape>": "<escape>", '"': '"', "'": "'", "“": "”"}
"""What begins a string, and what ends it."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}
_NAMED = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


class Invocation(NamedTuple):
    """A call in Python's form: `name(key=value)`."""

    name: str
    arguments: dict[str, Any]
    positional: tuple[Any, ...]


def json_text(value: Any) -> str:
    """A value as JSON that every wire can carry: no NaN, no infinity, no half of a surrogate pair.

    Raises:
        ValueError: it nests too deeply.
    """
    return json.dumps(_sound(value, 0), ensure_ascii=False)


def _sound(value: Any, depth: int) -> Any:
    if depth > 2 * DEEPEST:
        raise ValueError("values nested too deeply")
    match value:
        case float():
            return value if abs(value) < float("inf") else None
        case str():
            return sound(value)
        case list() | tuple():
            return [_sound(v, depth + 1) for v in value]
        case dict():
            return {_sound(str(k), depth): _sound(v, depth + 1) for k, v in value.items()}
        case _:
            return value


class Values:
    """Reads one value after another from a text.

    Args:
        closing: brackets that are still open at the end of the text are closed there.
    """

    def __init__(self, text: str, at: int = 0, closing: bool = False) -> None:
        self._text = text
        self.at = at
        """The index of what is not read yet."""
        self._closing = closing

    def value(self) -> Any:
        """The value that begins here.

        Raises:
            ValueError: there is none.
        """
        if self._text[self.at : self.at + 1] in ("{", "["):
            try:
                value, self.at = _DECODER.raw_decode(self._text, self.at)
            except (ValueError, RecursionError):
                return self._value(0)
            return value
        return self._value(0)

    def space(self) -> None:
        """Skip space and comments."""
        found = _SPACE.match(self._text, self.at)
        assert found
        self.at = found.end()

    def _value(self, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("values nested too deeply")
        self.space()
        text, at = self._text, self.at
        match text[at : at + 1]:
            case "{":
                return self._object(depth)
            case "[":
                return self._list("]", depth)
            case "(":
                return self._list(")", depth)
            case "":
                raise ValueError("a value is missing")
        for quote in _QUOTES:
            if text.startswith(quote, at):
                return self._string(quote)
        if number := _NUMBER.match(text, at):
            self.at = number.end()
            try:
                return json.loads(number[0])
            except ValueError:  # more digits than Python reads
                return number[0]
        if word := _WORD.match(text, at):
            if word[0] in _NAMED:
                self.at = word.end()
                return _NAMED[word[0]]
            if text.startswith("(", word.end()):
                self.at = word.end() + 1
                return self._invocation(word[0], depth)
        bare = _BARE.match(text, at)
        if not bare:
            raise ValueError(f"{text[at]!r} begins no value")
        self.at = bare.end()
        return bare[0].strip()

    def _next(self, closing: str) -> bool:
        """Whether another member follows; else the closing bracket is behind."""
        self.space()
        if self._text.startswith(",", self.at):
            self.at += 1
            self.space()
        if self._text.startswith(closing, self.at):
            self.at += 1
            return False
        if self.at >= len(self._text):
            if self._closing:
                return False
            raise ValueError(f"a {closing} is missing")
        return True

    def _list(self, closing: str, depth: int) -> list[Any]:
        self.at += 1
        members: list[Any] = []
        while self._next(closing):
            members.append(self._value(depth + 1))
        return members

    def _object(self, depth: int) -> dict[str, Any]:
        self.at += 1
        members: dict[str, Any] = {}
        while self._next("}"):
            name = self._name()
            members[name] = self._value(depth + 1)
        return members

    def _name(self) -> str:
        """An object's key, up to the colon."""
        quote = next((q for q in _QUOTES if self._text.startswith(q, self.at)), "")
        if quote:
            name = self._string(quote)
        elif word := _WORD.match(self._text, self.at):
            name, self.at = word[0], word.end()
        else:
            raise ValueError("a name is missing")
        self.space()
        if self._text[self.at : self.at + 1] not in (":", "="):
            raise ValueError(f"no value for {name}")
        self.at += 1
        return name

    def _invocation(self, name: str, depth: int) -> Invocation:
        named: dict[str, Any] = {}
        positional: list[Any] = []
        while self._next(")"):
            if self._text.startswith("**{", self.at):
                self.at += 2
                named.update(self._object(depth + 1))
            elif key := _KEYWORD.match(self._text, self.at):
                self.at = key.end()
                named[key[1] or key[2]] = self._value(depth + 1)
            else:
                positional.append(self._value(depth + 1))
        return Invocation(name, named, tuple(positional))

    def _string(self, quote: str) -> str:
        self.at += len(quote)
        written: list[str] = []
        text, escaped, end = self._text, quote[0] != "<", _QUOTES[quote]
        while self.at < len(text):
            if text.startswith(end, self.at):
                self.at += len(end)
                return "".join(written)
            char = text[self.at]
            self.at += 1
            if char != "\\" or not escaped or self.at >= len(text):
                written.append(char)
                continue
            mark = text[self.at]
            self.at += 1
            if mark == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", text[self.at : self.at + 4]):
                written.append(chr(int(text[self.at : self.at + 4], 16)))
                self.at += 4
            else:
                written.append(_ESCAPES.get(mark, mark))
        raise ValueError("a string does not end")


_DECODER = json.JSONDecoder(strict=False)


class Balance:
    """Finds where the bracket that opens a value is closed, in a text that grows."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""
        self._escaped = False
        self._at = 0

    def skip(self, at: int) -> None:
        """What stands before is not looked at."""
        self._at = at

    @property
    def in_string(self) -> bool:
        return bool(self._quote)

    def end(self, text: str) -> int:
        """The index behind the closing bracket; -1 as long as it is not there. `text` is the one before, and more."""
        for at in range(self._at, len(text)):
            char = text[at]
            if self._escaped:
                self._escaped = False
            elif self._quote:
                self._escaped = char == "\\"
                if char == self._quote:
                    self._quote = ""
            elif char == '"' or (char == "'" and text[at - 1 : at] in _BEFORE_QUOTE):
                self._quote = char
            elif char in "{[(":
                self._depth += 1
            elif char in "}])":
                self._depth -= 1
                if self._depth <= 0:
                    self._at = at + 1
                    return at + 1
        self._at = len(text)
        return -1


_BEFORE_QUOTE = tuple("[{(,:= \n\t")
"""What may stand before a string in single quotes; an apostrophe stands behind a letter."""
