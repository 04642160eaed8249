"""What marks a text up without being said: emphasis, links, HTML, marks of lists and headings, code, tables. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "FENCE",
    "Block",
    "Mark",
    "Unsaid",
    "announces",
    "blocks",
    "inline",
    "is_bare_mark",
    "mark_of",
    "without_mark",
]

FENCE = re.compile(r"[^\S\n]{0,8}(```+|~~~+)[^`\n]*\n")
"""The line that begins a block of code."""
_BLOCK = re.compile(
    r"^[^\S\n]{0,8}(?P<fence>```+|~~~+)[^`\n]*\n(?:.*\n)*?[^\S\n]{0,8}(?P=fence)[`~]*[^\S\n]*$"
    r"|^[^\S\n]{0,8}(?:```+|~~~+)(?:[^`\n]*\n(?:.*\n?)*|[^`~\n]*)\Z"
    r"|^[^\S\n]{0,8}\|[^\n]*\n(?:[^\S\n]{0,8}\|[^\n]*(?:\n|\Z))+",
    re.MULTILINE,
)
_MARK = re.compile(
    r"[^\S\n]{0,12}(?:(?P<heading>#{1,6})|(?P<bullet>[-*•+‣▪·–])|(?P<quote>>)|(?P<number>\d{1,3})[.)])[^\S\n]+"
    r"(?:\[[ xX]\][^\S\n]+)?(?=\S)"
)
_ITEM = re.compile(r"\d{1,3}[^\S\n]?[×xX][^\S\n]|\d{1,2}[:.]\d\d(?:[^\S\n][–-]|[^\S\n]?[apAP]\.?[mM])")
"""What begins with a number and has no sign: `2 × coffee`, `9:00 – breakfast`."""
_CLOSING = re.compile(r"[^\S\n]#{1,6}[^\S\n]*$")
"""What may end a heading."""
_BARE_MARK = re.compile(r"\s*(?:#{1,6}|[-*•+‣▪·–>]|\d{1,3}[.)]?)?[^\S\n]*(?:\[[ xX]?\]?)?[^\S\n]*")
_BARE_ITEM = re.compile(r"\s*[-+–>][^\S\n]+\d{1,3}(?:[:.]\d{0,2})?[^\S\n]?[×xXapAP–-]?\.?")
"""A number whose sign may turn out to be a list's."""
_TAG_NAMES = (
    "a|abbr|b|big|blockquote|body|br|code|del|div|em|font|h[1-6]|hr|html|i|img|ins|li|mark|ol|p|pre|q|s|small|span|"
    "strike|strong|sub|sup|table|tbody|td|th|thead|tr|tt|u|ul|"
    # those of SSML, by which other voices are led
    "speak|break|prosody|emphasis|say-as|phoneme|voice|audio|lang|bookmark|express-as|(?:amazon|google|mstts):[a-z-]+"
)
_TAG = re.compile(rf"</?(?:{_TAG_NAMES})(?:\s[^<>]{{0,500}})?/?>", re.IGNORECASE)
_STYLED = re.compile(
    r"</?(?:abbr|b|big|code|del|em|font|i|ins|mark|q|s|small|span|strike|strong|tt|u)(?:\s[^<>]{0,500})?>",
    re.IGNORECASE,
)
"""What changes the look within a word or at its end: no space takes its place."""
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{1,6}|#[xX][0-9A-Fa-f]{1,6});")
_LINK = re.compile(
    r"!?\[([^\[\]]{0,500})\]\(\s{0,3}<?(?:[^()\s<>]|\([^()\s]{0,300}\)){0,8000}>?(?:\s{1,3}[\"'(][^\"'()]{0,300}[\"')])?\s{0,3}\)"
)
_REFERENCE = re.compile(r"(?<=\])\[[^\[\]\s]{0,40}\](?!\()|\[\^[^\[\]\s]{1,20}\]")
_REFERRED = re.compile(r"\[([^\[\]\n]{1,200})\]\[[^\[\]\n]{0,40}\](?!\()")
_CITED = re.compile(
    r"(?<=[.,;:!?)\"”»])\[[1-9]\d{0,2}(?:(?:, ?|[-–])\d{1,3}){0,6}\](?=[\s.,;:!?\[)]|\Z)"
    r"|(?<=[^\W\d_]{3})\[[1-9]\d?\](?=[\s.,;]|\Z)"
)
"""`[1]`, which tells where it stands written."""
_RULE = re.compile(r"^[^\S\n]{0,8}(?:-[ -]?-[ -]*-|\*[ *]?\*[ *]*\*|_[ _]?_[ _]*_|={3,})[^\S\n]*$", re.MULTILINE)
"""A line across the page."""
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,8000})>")
_EMPHASIS = re.compile(
    r"(?<![\w*])(?P<mark>\*{1,3})(?=[^\s*])(?P<text>[^*\n]{1,400})(?<=[^\s*])(?P=mark)(?![\w*])"
    r"|(?<![\w_])(?P<mark2>_{1,3})(?=[^\s_])(?P<text2>[^\n]{1,400}?)(?<=[^\s_])(?P=mark2)(?![\w_])"
)
_LONE = re.compile(
    r"(?<![^\s(\[\"'“«„])(?:\*{1,3}|_{1,3})(?=[^\W\d_]|[\"'“«(\[])"
    r"|(?<=[^\W\d_])(?:\*{1,3}|_{2,3})(?=[\s.,;:!?)\"'»”]|$)"
    r"|(?<=[.,;:!?)])(?:\*{1,3}|_{1,3})(?!\w)"
)
_NOTE = re.compile(r"^[^\S\n]*\[\^[^\[\]\s]{1,20}\]:?", re.MULTILINE)
_HIGHLIGHT = re.compile(r"(?<![\w=])==(?=[^\s=])([^=\n]{1,400})(?<=[^\s=])==(?![\w=])")
_MATH = re.compile(r"\$\$|(?<![\w$\\])\$(?=[A-Za-z\\({])([^$\n]{0,200}[^\s$])\$(?![\w$])|\\[()\[\]]")
"""The signs around formulas, as models write them."""
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]{1,80})\}\{([^{}]{1,80})\}")
_ROOT = re.compile(r"\\sqrt\{([^{}]{1,80})\}")
_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|operatorname|left|right|quad|displaystyle)\b\{?")
_BRACES = re.compile(r"[{}]")
_COMMAND = re.compile(r" ?\\([A-Za-z]{2,10})(?![A-Za-z]) ?")
_RAISED = re.compile(r"\^\{([^{}]{1,40})\}")
_ESCAPED = re.compile(r"\\([%$#&_*])")
_COMMANDS = {
    "times": "×", "cdot": "×", "div": "÷", "pm": "±", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠",
    "ne": "≠", "approx": "≈", "infty": "∞", "pi": "π", "to": "→", "rightarrow": "→", "circ": "°", "percent": "%",
}  # fmt: skip
_CODE = re.compile(r"`{1,3}|~~")


class Unsaid(str):
    """A stretch of a text of which nothing is said: the rest of a piece of code, or of a table."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a text: to be said, or a piece of code or a table, of which is only said that it is there."""

    kind: Literal["text", "code", "table"]
    text: str


def blocks(text: str) -> Iterator[Block]:
    """The text in order, code and tables apart."""
    if "```" not in text and "~~~" not in text and "|" not in text:
        yield Block("text", text)
        return
    at = 0
    for m in _BLOCK.finditer(text):
        yield Block("text", text[at : m.start()])
        yield Block("table" if m[0].lstrip().startswith("|") else "code", m[0])
        at = m.end()
    yield Block("text", text[at:])


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands at a line's start: its kind, the number of a numbered item, and how long it is."""

    kind: Literal["heading", "bullet", "quote", "number"]
    length: int
    number: int = 0
    before_number: bool = False
    """Whether it might be the sign of a number."""


def mark_of(line: str) -> Mark | None:
    """The mark at a line's start, if there is one with something behind it."""
    m = _MARK.match(line)
    if m is None:
        return None
    followed = line[m.end()]
    signed = (followed.isdigit() or followed in "$€£¥₹") and not _ITEM.match(line, m.end())
    match m.lastgroup:
        case "heading":
            return Mark("heading", m.end())
        case "bullet":
            return Mark("bullet", m.end(), before_number=signed and m["bullet"] in "-+–")
        case "quote":
            return Mark("quote", m.end(), before_number=signed)
        case _:
            return Mark("number", m.end(), int(m["number"]))


def is_bare_mark(line: str) -> bool:
    """Whether a line that is still being written may turn out to begin with a mark."""
    return _BARE_MARK.fullmatch(line) is not None or _BARE_ITEM.fullmatch(line) is not None


def without_mark(mark: Mark, near: Sequence[Mark | None], several: bool, announced: bool = False) -> bool:
    """Whether a mark at a line's start is one: what may be a number or its sign is so only beside others like it.

    Args:
        near: the marks of its kind on lines before and after.
        several: whether there are other lines.
        announced: whether the line before ends in a colon, as before a list.
    """
    alike = [m for m in near if m and m.kind == mark.kind]
    if mark.kind == "number":
        return any(abs(m.number - mark.number) == 1 for m in alike) or (mark.number == 1 and several)
    return not mark.before_number or bool(alike) or announced


def announces(line: str) -> bool:
    """Whether a line ends in a colon, as before a list."""
    return line.rstrip(" \t*_\u00a0").endswith((":", "："))


def inline(text: str) -> str:
    """A text, of one block or a part of it, without the marks of its lines, links and emphasis."""
    text = _without_line_marks(_RULE.sub("", text))
    if "\\" in text or "$" in text:
        text = _without_formula_marks(text)
    if "^{" in text:
        text = _RAISED.sub(r"^\1", text)
    if "==" in text:
        text = _HIGHLIGHT.sub(r"\1", text)
    if "<" in text:
        text = _AUTOLINK.sub(r"\1", text)
        text = _TAG.sub(" ", _STYLED.sub("", text)) if "<" in text else text
    if "&" in text:
        text = _ENTITY.sub(lambda m: html.unescape(m[0]), text)
    if "[" in text:
        text = _CITED.sub("", _REFERRED.sub(r"\1", text))
        text = _LINK.sub(r"\1", _REFERENCE.sub("", _NOTE.sub("", text)))
    if "`" in text or "~" in text:
        text = _CODE.sub("", text)
    if "*" in text or "_" in text:
        text = _EMPHASIS.sub(lambda m: m["text"] or m["text2"], text)
        text = _LONE.sub("", _EMPHASIS.sub(lambda m: m["text"] or m["text2"], text))
    return text


def _without_formula_marks(text: str) -> str:
    """A text with LaTeX's formulas as they would be typed: `\\frac{1}{2} \\times x` is `1 / 2 × x`."""
    text = _ESCAPED.sub(r"\1", _MATH.sub(lambda m: m[1] or "", text))
    if "\\" not in text:
        return text
    plain = _FRACTION.sub(r"\1 ÷ \2", _ROOT.sub(r"√(\1)", text))
    plain = _COMMAND.sub(lambda m: f" {_COMMANDS[m[1]]} " if m[1] in _COMMANDS else m[0], plain)
    plain = _TEXT.sub(" ", plain)
    return plain if plain == text else _BRACES.sub("", plain)


def _without_line_marks(text: str) -> str:
    lines = text.split("\n")
    marks = [mark_of(line) for line in lines]
    if not any(marks):
        return text
    filled = [i for i, line in enumerate(lines) if line.strip()]
    out = []
    marked = [i for i in filled if marks[i]]
    place: dict[int, tuple[int | None, int | None]] = {}
    for kind in ("heading", "bullet", "quote", "number"):
        alike = [i for i in marked if (found := marks[i]) is not None and found.kind == kind]
        for k, i in enumerate(alike):
            place[i] = (alike[k - 1] if k else None, alike[k + 1] if k + 1 < len(alike) else None)
    for i, line in enumerate(lines):
        mark = marks[i]
        if mark is None:
            out.append(line)
            continue
        near = [marks[n] for n in place[i] if n is not None]
        if mark.kind == "heading":
            line = _CLOSING.sub("", line)
        before = next((lines[n] for n in range(i - 1, -1, -1) if lines[n].strip()), "")
        dropped = without_mark(mark, near, len(filled) > 1, announces(before))
        out.append(line[mark.length :] if dropped else line)
    return "\n".join(out)
