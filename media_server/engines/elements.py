"""Elements and tokens that models write around thoughts, calls and answers, told by what they are called. Pure.

Each family has names of its own, and new ones come with every model. `marks.py` has those whose form is particular.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

from media_server.engines import marks

__all__ = ["Element", "as_parameter", "element_at", "like_a_thought", "may_become", "spaced"]

MAX_TAG = 300
"""Characters of an element's tag, with its attributes."""
Kind = Literal["thought", "call", "perhaps", "tool", "frame", "thought-end"]

_TAG = re.compile(r"<\s?(/?)\s?([A-Za-z][\w:.\-]{0,48})(\s[^<>]{0,240}?)?(/?)>")
_TAG_BEGUN = re.compile(r"<\s?/?\s?(?:([A-Za-z][\w:.\-]{0,48})(\s[^<>]{0,240})?/?)?\Z")
_TOKEN = re.compile(r"<[|｜](/?)([^\s<>|｜]{1,60})[|｜]>")
_ATTRIBUTE = re.compile(r"""([\w.\-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>=/]+))""")
_PARTS = re.compile(r"[:_.\-▁/]+|(?<=[a-z])(?=[A-Z])")
_THOUGHTS = {
    *("think", "thinking", "thought", "thoughts", "reasoning", "scratchpad", "reflect", "reflection", "analysis"),
    *("monologue", "rationale", "introspection", "deliberation", "cot", "ponder", "pondering", "brainstorm"),
    *("brainstorming", "contemplation", "analyse", "analyze"),
}
_CALL = re.compile(r"(?:use|call)?(?:mcp|api)?(?:tool|function|api)s?(?:calls?|uses?|requests?|invocations?)?")
_CALL_WORDS = re.compile(r"call|use|request|invocation")
_PERHAPS = {"function", "call", "tool", "action", "json", "invoke"}
_FRAMES = {"answer", "response", "output", "solution", "final", "reply"}
_ENDS = {"end", "stop", "close"}


class Element(NamedTuple):
    """What an element or token begins.

    `thought`: a thought. `call`: a call. `perhaps`: a call, if it holds one; else text. `tool`: a call of the tool
    whose name it has. `frame`: nothing; it stands around what is said, or ends something. `thought-end`: likewise,
    and what it ends is a thought.
    """

    kind: Kind
    text: str
    name: str
    ends: tuple[str, ...] = ()
    given: tuple[tuple[str, str], ...] = ()
    """Its attributes."""
    whole: bool = False
    """It has nothing in it: `<name/>`."""


def element_at(text: str, at: int, offered: Collection[str]) -> Element | None:
    """The element or token that begins here and has a meaning; None for any other text."""
    if token := _TOKEN.match(text, at):
        return _token(token)
    tag = _TAG.match(text, at)
    if not tag:
        return None
    name = tag[2]
    kind = _kind(name, offered)
    if kind is None or (kind == "perhaps" and (tag[1] or tag[4])):
        return None
    if tag[1]:
        return Element("thought-end" if kind == "thought" else "frame", tag[0], name)
    own = _qualified(name, offered) or name
    given = tuple((m[1], m[2] or m[3] or m[4] or "") for m in _ATTRIBUTE.finditer(tag[3] or ""))
    ends = (*spaced(f"</{name}>"), f"</{name.lower()}>")
    if kind == "thought":
        ends += marks.THOUGHT_ENDS
    return Element(kind, tag[0], own, tuple(dict.fromkeys(ends)), given, bool(tag[4]))


def spaced(end: str) -> tuple[str, ...]:
    """The end of an element, and how it looks with a space too many."""
    if not end.startswith("</"):
        return (end,)
    name = end[2:-1]
    return end, f"</{name} >", f"</ {name}>", f"</ {name} >", f"< /{name}>", f"< /{name} >", f"< / {name}>"


def may_become(text: str, at: int, offered: Collection[str]) -> bool:
    """Whether the text from here to its end may be the beginning of such an element."""
    begun = _TAG_BEGUN.match(text, at)
    if not begun:
        return False
    return begun[1] is None or begun[2] is None or _kind(begun[1], offered) is not None


def as_parameter(key: str, value: str) -> str:
    """An attribute of a call: an argument, or all of them."""
    return value if value.lstrip().startswith("{") else f"<parameter={key}>{value}</parameter>"


def like_a_thought(template: str) -> tuple[str, str] | None:
    """The first marks of a thought in a chat template that are known by their name alone, and what ends it."""
    for tag in re.finditer(r"<[|｜/]?[\w:.\-]+[|｜]?>", template):
        element = element_at(tag[0], 0, ())
        if element and element.kind == "thought":
            end = next((end for end in element.ends if end in template), "")
            if end:
                return element.text, end
    return None


def _token(token: re.Match[str]) -> Element | None:
    """`<|begin_of_thought|>`, `<|thought_start|>` and `<|thinking|>`; other tokens have no meaning of their own."""
    name = token[2]
    parts = [part.lower() for part in _PARTS.split(name) if part]
    if not _THOUGHTS & set(parts):
        return None
    if token[1] or _ENDS & set(parts):
        return Element("thought-end", token[0], name)
    opened, closed = token[0][:2], token[0][-2:]
    begun = "|".join(("begin", "start", "open"))
    ending = [re.sub(begun, word, name) for word in ("end", "stop", "close") if re.search(begun, name)]
    ending = ending or [f"/{name}", f"end_{name}", f"{name}_end", f"end_of_{name}"]
    ends = tuple(f"{opened}{each}{closed}" for each in ending)
    return Element("thought", token[0], name, (*ends, *marks.THOUGHT_ENDS))


def _qualified(name: str, offered: Collection[str]) -> str:
    """The tool that is meant by `tool:name`, `functions.name` and their like; empty for none."""
    found = re.fullmatch(r"(?:tools?|functions?|calls?|invoke|api)[:.](.+)", name)
    return found[1] if found and found[1] in offered else ""


def _kind(name: str, offered: Collection[str]) -> Kind | None:
    if name in offered or _qualified(name, offered):
        return "tool"
    parts = [part.lower() for part in _PARTS.split(name) if part]
    bare = "".join(parts)
    own = name.rpartition(":")[2].lower()
    if _THOUGHTS & {*parts, bare} or "scratchpad" in bare:
        return "thought"
    if bare in _PERHAPS or own in _PERHAPS:
        return "perhaps"
    # a model's own name may stand before it
    if any(_CALL.fullmatch(b := "".join(parts[i:])) and _CALL_WORDS.search(b) for i in range(len(parts))):
        return "call"
    if parts[0] in _FRAMES and all(p in _FRAMES for p in parts):
        return "frame"
    return None
