"""Forms (`multipart/form-data`, RFC 7578), read piece by piece at a cost that only their length decides, **pure**."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["FormParser", "Part", "boundary_of"]

MAX_HEAD = 8 * 1024
"""Bytes of a part's head."""
MAX_EPILOGUE = 4 * 1024
"""Bytes that may follow a form's end; they mean nothing."""
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\\]{1,70})"|([^\s;",]{1,70}))\s*(?:;|$)', re.IGNORECASE)
_DISPOSITION = re.compile(rb"(?:^|\r\n)content-disposition:[ \t]*form-data\b([^\r\n]*)", re.IGNORECASE)
_NAME = re.compile(rb';[ \t]*name=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_NESTED = re.compile(rb"(?:^|\r\n)content-type:[ \t]*multipart/", re.IGNORECASE)

State = Literal["start", "delimiter", "head", "content", "complete"]


@dataclass(frozen=True, slots=True)
class Part:
    """A field of the form begins; the pieces that follow are its content."""

    name: str


def boundary_of(content_type: str) -> bytes:
    """The boundary that a `Content-Type` names.

    Raises:
        ValueError: a sentence's end about why there is none.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueError("its Content-Type has no boundary of 1 to 70 characters")
    try:
        return (found[1] or found[2]).encode("ascii")
    except UnicodeEncodeError:
        raise ValueError("its boundary is not ASCII") from None


class FormParser:
    """`feed` it a form's bytes as they come; `complete` says whether its end was among them."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b"\r\n"
        """What has come last. The line break that belongs to the first delimiter does not come."""
        self._at = 0
        """Where in the buffer begins what is not understood yet."""
        self._state: State = "start"
        self._epilogue = 0
        self._first = False
        """Whether no content of the part has been given out yet."""

    @property
    def complete(self) -> bool:
        return self._state == "complete"

    def feed(self, data: bytes) -> Iterator[Part | bytes]:
        """Parts as they begin, and pieces of their content.

        Raises:
            ValueError: a sentence's end about what is wrong with the form.
        """
        self._buffer, self._at = self._buffer[self._at :] + data, 0
        more = True
        while more:
            match self._state:
                case "start":
                    more = self._starts()
                case "delimiter":
                    more = self._ends_or_goes_on()
                case "head":
                    part = self._head()
                    more = part is not None
                    if part is not None:
                        yield part
                case "content":
                    piece, more = self._content()
                    if piece:
                        yield piece
                case "complete":
                    self._epilogue += len(self._buffer) - self._at
                    self._at, more = len(self._buffer), False
                    if self._epilogue > MAX_EPILOGUE:
                        raise ValueError("it goes on after its end")

    def _starts(self) -> bool:
        if len(self._buffer) < len(self._delimiter):
            return False
        if not self._buffer.startswith(self._delimiter):
            raise ValueError("it does not begin with its boundary")
        self._take(len(self._delimiter), "delimiter")
        return True

    def _ends_or_goes_on(self) -> bool:
        match self._buffer[self._at : self._at + 2]:
            case b"--":
                self._take(2, "complete")
            case b"\r\n":
                self._take(0, "head")
            case short if len(short) < 2:
                return False
            case _:
                raise ValueError("a boundary in it is followed by something else than a line break")
        return True

    def _head(self) -> Part | None:
        """The head of a part, with the line break before it; of the empty line that ends it, the second one is left."""
        end = self._buffer.find(b"\r\n\r\n", self._at, self._at + MAX_HEAD)
        if end < 0:
            if len(self._buffer) - self._at >= MAX_HEAD:
                raise ValueError(f"the head of a part in it has more than {MAX_HEAD} bytes")
            return None
        head = self._buffer[self._at : end]
        if _NESTED.search(head):
            raise ValueError("there is another form in it")
        disposition = _DISPOSITION.search(head)
        name = _NAME.search(disposition[1]) if disposition else None
        self._take(end + 2 - self._at, "content")
        # an empty content is a delimiter at once, with this line break as its own
        self._first = True
        return Part((name[1] if name[1] is not None else name[2]).decode(errors="replace") if name else "")

    def _content(self) -> tuple[bytes, bool]:
        begins = self._at + 2 if self._first else self._at
        at = self._buffer.find(self._delimiter, self._at)
        if at >= 0:
            piece = self._buffer[begins:at]
            self._take(at + len(self._delimiter) - self._at, "delimiter")
            return piece, True
        kept = len(self._buffer) - (len(self._delimiter) - 1)
        if kept <= begins:
            return b"", False
        piece = self._buffer[begins:kept]
        self._at, self._first = kept, False
        return piece, False

    def _take(self, count: int, state: State) -> None:
        self._at, self._state = self._at + count, state
