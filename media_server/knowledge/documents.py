"""Documents to passages: Markdown, plain text and PDF."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from media_server.jsonable import sound

__all__ = ["SUFFIXES", "DocumentError", "Passage", "passages"]

LONGEST = 700
"""Characters of a passage: a few sentences, of which several fit into a prompt."""
SUFFIXES = frozenset({".md", ".markdown", ".txt", ".pdf"})


class DocumentError(Exception):
    """A document that cannot be read; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document under the headings that lead to it, or its page."""

    title: str
    text: str


def passages(path: Path) -> list[Passage]:
    """All of a document, in order. Blocks while it is read.

    Raises:
        DocumentError: it cannot be read.
    """
    try:
        if path.suffix == ".pdf":
            sections = _pages(path)
        else:
            text = path.read_text(encoding="utf-8-sig")
            sections = list(_chapters(text)) if path.suffix in (".md", ".markdown") else [("", text)]
    except UnicodeDecodeError as e:
        raise DocumentError("it is not UTF-8 text") from e
    except OSError as e:
        raise DocumentError(e.strerror or str(e)) from e
    return [Passage(title, piece) for title, text in sections for piece in cut(text)]


def _pages(path: Path) -> list[tuple[str, str]]:
    try:
        reader = PdfReader(path)
        if reader.is_encrypted:
            raise DocumentError("it needs a password")
        return [(f"page {i}", sound(page.extract_text())) for i, page in enumerate(reader.pages, 1)]
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        # a broken file breaks its reader in many ways
        raise DocumentError(f"it is no PDF that can be read: {e}") from e


def _chapters(text: str) -> Iterator[tuple[str, str]]:
    """Markdown's sections, each with the headings above it."""
    headings: list[str] = []
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = re.match(r"\s{0,3}(`{3,}|~{3,})", line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        heading = None if fence else re.match(r"(#{1,6})\s+(.*?)\s*#*$", line)
        if heading:
            yield " › ".join(filter(None, headings)), "\n".join(lines)
            depth = len(heading[1])
            headings = [*headings[: depth - 1], *[""] * (depth - 1 - len(headings)), heading[2]]
            lines = []
        else:
            lines.append(line)
    yield " › ".join(filter(None, headings)), "\n".join(lines)


def cut(text: str) -> Iterator[str]:
    """Pieces of at most `LONGEST` characters, cut between paragraphs where that is possible, else between sentences."""
    piece = ""
    for part in _parts(text):
        if piece and len(piece) + len(part) + 1 > LONGEST:
            yield piece
            piece = ""
        piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece


def _parts(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        plain = " ".join(paragraph.split())
        if len(plain) <= LONGEST:
            if plain:
                yield plain
            continue
        for sentence in re.split(r"(?<=[.!?…。！？])\s*(?=\S)", plain):
            # a table or a list of names may have no end of a sentence at all
            yield from (sentence[i : i + LONGEST].strip() for i in range(0, len(sentence), LONGEST))
