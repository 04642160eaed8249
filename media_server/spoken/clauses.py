"""Cuts a stream of text into clauses to speak: the first one short, so that the voice starts early. Pure.

Every decision is made on text that is there for certain: how the text was cut into pieces on its way makes no
difference. Marks of lists and headings, which mean something only at the start of a line, are left out here. A piece
of code and a table are announced by their first lines, so that nobody waits until they are written; the rest is a
stretch of its own, of which nothing is said.
"""

from __future__ import annotations

import itertools
import re
from functools import cache

from media_server.spoken.ends import WIDE, ends_sentence
from media_server.spoken.language import Language, language_of
from media_server.spoken.markup import FENCE, Mark, Unsaid, announces, is_bare_mark, mark_of, without_mark
from media_server.spoken.phrases import Place, cut, opens_phrase, place_before

__all__ = ["ClauseCutter", "clauses_of"]

FIRST_CLAUSE = 8
"""Characters from which a comma ends the first clause …"""
LATER_CLAUSE = 40
"""… and a later one; longer clauses sound better."""
MAX_S = 13.0
"""Where nothing ends a clause, a space does behind as much as takes this long to say."""
LETTER_S, DIGIT_S, SYLLABLE_S = 0.065, 0.35, 0.22
"""What a letter takes to say, a digit, and a character of Chinese, Japanese or Korean."""
MOST = 200
"""Characters of a clause at most."""
AHEAD = 100
"""Characters that are looked at behind a clause's end, for the word that follows."""
BRACKETED = 120
"""Characters of a bracket that is not cut."""
MAX_ADDRESS = 8000
AT_ONCE = 2000
"""Characters that are looked at in one go, so that the time for a text grows with its length and no faster."""
DAY = 16
"""Characters behind a day of the week in which the next one of a list stands."""
FEW = 3
"""Words that are spoken by themselves where more are long in coming."""
_WORD_END = re.compile(r"(?<=\S)\s|(?<=[\u0e00-\u0eff\u3040-\u9fff])(?=[\u0e00-\u0eff\u3040-\u9fff])")
"""The end of a word: a space, or the place between characters of scripts that are written without."""
_BOUNDARY = re.compile(
    r"(?P<stop>(?<![.!?…\u037e])[.!?…\u037e]{1,80}(?:[ \u00a0\u202f]»|[\"')\]»”’“‘*_]{0,6})(?=\s|\Z))"
    rf"|(?P<wide>[{WIDE}]"
    r"[」』”’）)\"]{0,3})"
    r"|(?P<line>\n)"
    r"|(?P<pause>[,;:—–،؛](?=\s|\Z)|[，；：])"
)
_TITLE = re.compile(r"[ \u00a0](?:(?:Jr|Sr|Inc|Ltd|Esq|Ph\.?D|M\.D|D\.C)\b|LLC\b|[A-Z]{2}(?![\w’'.-]))")
"""What belongs to the name before its comma."""
_YEAR = re.compile(r"[12]\d{3}(?!\d)")
CLOSING = "\"'»”’“‘)]"
"""What closes a quotation or a bracket."""
NUMBER = 6
"""Characters in which "n.º 5" begins."""
_HOUSE_NUMBER = re.compile(r"(?:n\.?[º°o]?|nº|no|nr)\.?:?[ \u00a0]?\d", re.IGNORECASE)
_TRAILS = re.compile(
    r"(?:etc|usw|usf|ecc|enz|vb|v[.] ?b|u[.] ?(?:a|v)|et cetera|et al|o[.] ?ä)\.?(?!\w)", re.IGNORECASE
)
"""What ends a list, and is said in one breath with it: `etc.`"""
_TRAILS_BEGIN = tuple("euvoEUVO")
TRAIL = 10
"""Characters in which it stands."""
_OPEN = re.compile(r"[(\[]")
_ADDRESS = re.compile(r"(?:\W{0,4}(?:https?://|www\.)|\S{0,200}\]\()", re.IGNORECASE)
_FENCE_END = re.compile(r"(?:\A|\n)[^\S\n]{0,8}(```+|~~~+)[^\S\n]*(?=\n|\Z)")
_LONE_FENCE = re.compile(r"[^\S\n]{0,8}(?:```+|~~~+)[^`~\n]*\Z")
_BLANK_LINES = re.compile(r"(?:[^\S\n]{0,20}\n)+")
_SETTLED = re.compile(r"[^.!?…\"')\]»”’“‘*_]")
"""What shows that a mark before it is complete."""
_SEEMS_WHOLE = re.compile(
    rf"(?:[!?…\u037e{WIDE}]"
    r"|(?P<dot>(?<=\w)\.))[\"')»\]”’“‘*_]{0,6}\s{0,4}\Z"
)
_SLOW = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


class ClauseCutter:
    """`push` text as it comes and speak what it returns; `flush` at the end.

    Args:
        voice: the language of the voice by espeak-ng's name.
        first: whether nothing was said before.
    """

    def __init__(self, voice: str = "en", first: bool = True) -> None:
        self._language = language_of(voice)
        self._asks = ";" if voice.lower().startswith("el") else ""
        """What else ends a question: in Greek a semicolon."""
        self._text = ""
        self._first = first
        self._at_line_start = True
        self._lines = 0
        """Lines before this one that have something in them."""
        self._filled = False
        """Whether this one has."""
        self._marks: dict[str, Mark] = {}
        """The last one of each kind at a line's start."""
        self._announced = False
        """Whether the last clause ends in a colon."""
        self._said_number = 0
        """The last one of a list whose numbers are said."""
        self._item = 0
        """Length of the number of an item of a list with which the text begins."""
        self._block = ""
        """The piece of code or the table that the text is in, by the sign with which its end is told."""
        self._looked = 0
        """Characters of a block in which its end was looked for."""

    @property
    def waiting(self) -> bool:
        """Whether there is text whose clause has not ended."""
        return bool(self._text.strip())

    def push(self, text: str) -> list[str]:
        """The clauses that are complete now."""
        out = []
        for i in range(0, len(text), AT_ONCE):
            self._text += text[i : i + AT_ONCE]
            out += self._cut(final=False)
        return out

    def flush(self) -> list[str]:
        """What is left."""
        return self._cut(final=True)

    def hurry(self) -> list[str]:
        """All there is if it ends like a sentence, else up to a word's end if it is a few words; for when the rest is
        long in coming.
        """
        if self._block or self._head_length(final=False) != 0:
            return []
        if self._seems_whole():
            return self._cut(final=True)
        ends = [m.start() for m in _WORD_END.finditer(self._text)]
        # what a word such as "to" begins is better said with it
        while len(ends) > FEW and opens_phrase(self._text[ends[-2] : ends[-1]]):
            ends.pop()
        if len(ends) < FEW:
            return []
        clause = self._take(ends[-1])
        return [clause] if clause else []

    def _seems_whole(self) -> bool:
        """Whether the text ends with a sentence, as far as can be told without what comes behind it."""
        stop = _SEEMS_WHOLE.search(self._text)
        if stop is None or not stop["dot"]:
            return stop is not None
        if ends_sentence(self._text[: stop.end("dot")], stop.end("dot"), self._language, final=False):
            return True
        before, _, last = self._text[: stop.start("dot")].rpartition(" ")
        return last.isdigit() and bool(before.strip())

    def _cut(self, final: bool) -> list[str]:
        out: list[str] = []
        while self._text:
            if self._block:
                end = self._rest_length(final)
                if end is None:
                    break
                self._block = ""
                if clause := self._take(end):
                    out.append(Unsaid(clause))
                continue
            if (end := self._end(final)) is None:
                break
            if clause := self._take(end):
                out.append(clause)
        return out

    def _take(self, end: int) -> str:
        taken, self._text = self._text[:end], self._text[end:]
        self._item = self._looked = 0
        clause = taken.strip()
        self._filled = self._filled or bool(clause)
        if clause:
            self._first = False
            self._announced = announces(clause)
        if taken.endswith("\n"):
            self._at_line_start = True
            self._lines += self._filled
            self._filled = False
        elif clause:
            self._at_line_start = False
        return clause

    def _end(self, final: bool) -> int | None:
        """Where the first clause of the text ends; None if that cannot be known yet."""
        if self._at_line_start:
            if blank := _BLANK_LINES.match(self._text):
                return blank.end()
            if (length := self._head_length(final)) != 0:
                self._block = self._block_begun() if length else ""
                return length
            if not self._begin_line(final):
                return None
        limit, passed = self._limit()
        for m in _BOUNDARY.finditer(self._text, 0, min(len(self._text), limit + AHEAD)):
            if m.start() > limit:
                break
            ends = self._ends_at(m, final)
            if ends is None:
                return None
            if ends:
                return m.end()
        if passed and (final or _SETTLED.search(self._text, limit + 1, limit + AHEAD)):
            return self._within(limit, final)
        return len(self._text) if final else None

    def _ends_at(self, m: re.Match[str], final: bool) -> bool | None:
        """Whether a clause ends at a mark; None if that cannot be known yet."""
        kind = m.lastgroup
        if kind == "line":
            return True
        if m.end() == len(self._text) and kind != "wide" and m[0] not in "，；：" and not final:
            return None
        closes = kind == "stop" and m[0][-1] in ")]"
        bracketed = self._in_bracket(m.end() if closes else m.start(), final)
        if bracketed is not False:
            return None if bracketed is None else False
        if kind == "wide":
            if m.end() == len(self._text) and not final:
                return None
            return True
        if kind == "stop":
            if m[0][-1] != "»" and self._quoting(m.start()) and not self._text[m.end() :].strip() and not final:
                return None  # "« Oui. »"
            if not m[0].startswith(".") or m[0].startswith(("..", ".!", ".?")):
                return self._exclaims(m, final)
            stop = m.start() + 1
            if (self._item and stop <= self._item) or self._is_item(m.start()):
                return False
            return (
                ends_sentence(self._text[: m.end() + AHEAD], stop, self._language, final)
                if stop == m.end()
                else (self._closed_ends(m, stop, final))
            )
        return self._pauses(m, final)

    def _exclaims(self, m: re.Match[str], final: bool) -> bool | None:
        """Whether a clause ends at an exclamation or a question: not where `"Stop!" he said` goes on behind a quote."""
        behind = self._text[m.end() : m.end() + AHEAD].lstrip()
        quoting = "«" in self._text[: m.start()] and m[0][-1] != "»"
        if not behind:
            return None if (m[0][-1] in CLOSING or quoting) and not final else True
        if quoting and behind[0] == "»":
            return False
        return not (m[0][-1] in CLOSING and behind[0].islower())

    def _quoting(self, at: int) -> bool:
        """Whether a quotation in angle marks is open there."""
        return self._text.count("«", 0, at) > self._text.count("»", 0, at)

    def _is_item(self, at: int) -> bool:
        """Whether a full stop stands behind the number of an item, of a list that is written without lines."""
        number = self._text[:at].strip()
        if not number.isdecimal() or len(number) > 2:
            return False
        n = int(number)
        if n not in (1, self._said_number, self._said_number + 1):
            return False
        self._said_number = n
        return True

    def _closed_ends(self, m: re.Match[str], stop: int, final: bool) -> bool | None:
        """The same where a quote or a bracket closes behind the full stop."""
        text = self._text[:stop] + " " * (m.end() - stop) + self._text[m.end() : m.end() + AHEAD]
        return ends_sentence(text, stop, self._language, final)

    def _pauses(self, m: re.Match[str], final: bool) -> bool | None:
        if m[0] == self._asks:
            return True
        least = FIRST_CLAUSE if self._first else LATER_CLAUSE
        if m.start() < least:
            return False
        behind = self._text[m.end() : m.end() + AHEAD].lstrip()
        if m[0] == "," and not final and (not behind or (behind[0].isupper() and len(behind) < 5)):
            return None
        if m[0] == "," and _TITLE.match(self._text, m.end()):
            return False
        if m[0] == "," and behind[:1] in ("n", "N"):
            if len(behind) < NUMBER and not final:
                return None
            if _HOUSE_NUMBER.match(behind):
                return False
        if m[0] == "," and behind[:1] in _TRAILS_BEGIN:
            if len(behind) < TRAIL and not final:
                return None
            if _TRAILS.match(behind):
                return False
        if m[0] == ":" and self._language and _last_word(self._text, m.end()) in self._language.words("before_numbers"):
            return False
        if m[0] == "," and _last_word(self._text, m.start()).strip(".") in self._day_names():
            if len(behind) < DAY and not final:
                return None
            if self._goes_on_with_day(behind):
                return False
        if m[0] == "," and _YEAR.match(behind) and self._language and self._ends_with_month(m.start()):
            return False
        before = self._text[: m.start()].rstrip()[-1:]
        if not before.isdigit() or m[0] in ";；":
            return True
        # the nine – five of opening hours, the year of a date
        if len(behind) < 5 and not final:
            return None
        if m[0] in "—–":
            return not behind[:1].isdigit()
        return not (m[0] == "," and re.match(r"[12]\d{3}(?!\d)|\d{4,5}[ \u00a0][A-ZÄÖÜÁÉÍÓÚ]", behind))

    def _day_names(self) -> frozenset[str]:
        return _days(self._language) if self._language else frozenset()

    def _goes_on_with_day(self, behind: str) -> bool:
        """Whether behind a day of the week and its comma come its date, or the next day of a list of them."""
        next_words = [word.strip(",.;").lower() for word in behind[:DAY].split()[:2]]
        return behind[:1].isdigit() or not self._day_names().isdisjoint(next_words)

    def _ends_with_month(self, at: int) -> bool:
        assert self._language is not None
        return self._text[max(0, at - 12) : at].rpartition(" ")[2] in self._language.months

    def _in_bracket(self, at: int, final: bool) -> bool | None:
        """Whether a place is inside of a bracket that closes soon; None while that is open."""
        text = self._text
        line = text.rfind("\n", 0, at) + 1
        depth: list[int] = []
        for i in range(max(line, at - BRACKETED), at):
            if text[i] in "([":
                depth.append(i)
            elif text[i] in ")]" and depth:
                depth.pop()
        for start in depth:
            limit = start + BRACKETED
            ends = [
                e
                for e in (text.find(")" if text[start] == "(" else "]", at, limit), text.find("\n", at, limit))
                if e >= 0
            ]
            if not ends:
                if len(text) >= limit or final:
                    continue
                return None
            if text[min(ends)] != "\n":
                return True
        return False

    def _limit(self) -> tuple[int, bool]:
        """How much may be said in one go, in characters, and whether there is more than that."""
        seconds = 0.0
        for i, c in enumerate(self._text[: MOST + 1]):
            if c == "\n":  # where a clause ends in any case: a text may have a thousand lines of a character each
                return i, False
            seconds += DIGIT_S if c.isdigit() else SYLLABLE_S if _SLOW.match(c) else LETTER_S
            if seconds > MAX_S or i == MOST:
                return max(1, i), True
        return len(self._text), False

    def _within(self, limit: int, final: bool) -> int | None:
        """Where to cut a clause that does not end."""
        words = [*re.finditer(r"\S+", self._text[: limit + 1])]
        if words and words[-1].end() > limit and _ADDRESS.match(self._text, words[-1].start()):
            # an address is said as a whole, and shorter than it is written
            start = words[-1].start()
            if self._text[:start].strip():
                return start
            end = re.compile(r"\S*").match(self._text, start, start + MAX_ADDRESS)
            assert end is not None
            return end.end() if end.end() < len(self._text) or final or end.end() - start >= MAX_ADDRESS else None
        places = [place_before(a.end(), a[0], b[0]) for a, b in itertools.pairwise(words)]
        places = [p for p in places if p.at <= limit] or [Place(limit)]
        return cut(len(self._text) + 2 * limit, places, limit)

    def _begin_line(self, final: bool) -> bool:
        """Leave out the mark at a line's start; False if it is not known yet whether there is one."""
        line = self._text[:AHEAD].partition("\n")[0]
        if is_bare_mark(line) and len(line) == len(self._text) and not final:
            return False
        self._at_line_start = False
        mark = mark_of(line)
        if mark is None:
            return True
        several = self._lines > 0
        # a list that begins the text says its numbers, since it may be none
        if without_mark(mark, [self._marks.get(mark.kind)], several, self._announced):
            self._text = self._text[mark.length :]
        elif mark.kind == "number" and mark.number == self._said_number + 1:
            self._item, self._said_number = mark.length, mark.number
            return True
        self._marks[mark.kind] = mark
        return True

    def _head_length(self, final: bool) -> int | None:
        """How much of the text announces a piece of code or a table; 0 for neither, None if that is open."""
        if not self._at_line_start:
            return 0
        head = self._text.lstrip(" \t")[:3]
        if head.startswith("|"):
            return self._table_head(final)
        if not head or head[0] not in "`~" or len(set(head)) > 1:
            return 0
        if len(head) < 3 and not final:
            return None
        if opened := FENCE.match(self._text):
            return opened.end()
        if final:
            return len(self._text) if _LONE_FENCE.match(self._text) else 0
        one_line = "\n" in self._text or len(self._text) > AHEAD or "`" in self._text.strip(" \t").lstrip("`")
        return 0 if one_line else None

    def _block_begun(self) -> str:
        """The sign of the block that begins with the text: its fence, or a table's bar."""
        opened = FENCE.match(self._text)
        return opened[1] if opened else "|" if self._text.lstrip(" \t").startswith("|") else ""

    def _table_head(self, final: bool) -> int | None:
        """How long a table's first two rows are; a single row is none."""
        first = self._text.find("\n") + 1
        second = self._text[first:].lstrip(" \t")
        if not first or not second:
            return 0 if final else None
        if not second.startswith("|"):
            return 0
        end = self._text.find("\n", first) + 1
        return end or (len(self._text) if final else None)

    def _rest_length(self, final: bool) -> int | None:
        """How much of the text is the rest of the block that it is in; None while its end is not there."""
        if self._block == "|":
            return self._rows_length(final)
        for m in _FENCE_END.finditer(self._text, max(0, self._looked - AHEAD)):
            if m[1].startswith(self._block) and (final or m.end() < len(self._text)):
                return m.end()
        self._looked = len(self._text)
        return len(self._text) if final else None

    def _rows_length(self, final: bool) -> int | None:
        at = self._looked
        while (end := self._text.find("\n", at)) >= 0:
            if not self._text[at:end].lstrip(" \t").startswith("|"):
                return at
            at = end + 1
        self._looked = at
        last = self._text[at:].lstrip(" \t")
        if last and not last.startswith("|"):
            return at
        return (len(self._text) if last else at) if final else None


@cache
def _days(language: Language) -> frozenset[str]:
    return frozenset(name.lower() for name in (*language.words("weekday_abbreviations"), *language.weekdays))


def _last_word(text: str, end: int) -> str:
    """The word that ends there, in lower case."""
    return text[max(0, end - 20) : end].rpartition(" ")[2].lower()


def clauses_of(text: str, voice: str = "en", first: bool = True) -> list[str]:
    """The clauses of a text that is there as a whole."""
    cutter = ClauseCutter(voice, first)
    return [*cutter.push(text), *cutter.flush()]
