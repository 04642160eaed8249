"""Calls in words: what models write around a tool's name and its arguments where they leave out the marks. Pure.

Calling get_weather with city=Paris, days=2        [tool_call: get_weather(city="Paris")]
I'll use the `get_weather` tool: {"city": "Paris"}     tool: get_weather
                                                   city: Paris
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = [
    "after_call",
    "bare_start",
    "held_from",
    "lead_start",
    "named_with",
    "pairs_end",
    "pairs_of",
    "surely_called",
    "unworded",
]

_WORDS = frozenset(
    (
        # English as models announce calls in it, and how they label them
        *("i", "i'll", "i’ll", "i'm", "i’m", "will", "am", "now", "let", "me", "us", "let's", "let’s", "going", "to"),
        *("then", "calling", "call", "calls", "using", "use", "invoking", "invoke", "executing", "execute", "running"),
        *("run", "the", "a", "this", "tool", "tools", "function", "functions", "api", "action", "name", "result"),
        *("results", "response", "output", "await", "return", "json", "print", "command", "request", "assistant"),
        *("commentary", "analysis", "assistantcommentary", "assistantanalysis", "recipient", "with"),
        *("tool_call", "tool_calls", "toolcall", "tool_use", "tool_uses", "tool_name", "tool_code", "tool_input"),
        *("function_call", "function_calls", "functioncall", "function_name", "call_function", "use_tool"),
        *("call_tool", "action_name"),
        # the same labels in other languages
        *("aktion", "aufruf", "werkzeug", "funktion", "fonction", "outil", "appel", "función", "herramienta"),
        *("llamada", "llamando", "llamo", "usando", "uso", "funzione", "strumento", "chiamata", "chiamo", "ich"),
        *("rufe", "verwende", "j'appelle", "j’appelle", "j'utilise", "j’utilise", "调用", "使用", "get", "post"),
    )
)
_MARK = r"[\[\](){}<>*_~`\"'|#@/$=!«‹:→,-]"
_OPENING = r"[\[({<*_~`\"'|#@/$=!«‹→]"
_WORD = "|".join(sorted((re.escape(w) for w in _WORDS), key=len, reverse=True))
_TAG = r"</?[A-Za-z][\w:.\-]{0,40}>"
_LED = rf"{_TAG}|(?:tools?|api|functions)\.(?=\w|\Z)|(?:{_WORD})(?![\w'’])"
_RUN = re.compile(rf"(?<![\w'])(?:{_LED}|{_OPENING})(?:{_LED}|{_MARK}|\s)*\Z", re.IGNORECASE)
_HAS_WORD = re.compile(rf"(?<!\w)(?:{_WORD})(?!\w)", re.IGNORECASE)
_FRAGMENT = re.compile(r"(?:</?[A-Za-z][\w:.\-]{0,40}|(?<![A-Za-z0-9])[^\W\d_][\w'’]{0,20})\Z")
_ADJACENT = re.compile(rf"(?<!\S)(?:{_TAG}|[\[({{<*_~`\"'|#@/$!«‹])+\Z")
_FAR = 100
"""Characters before a call that may lead to it."""

_SEPARATING = (
    *("with", "using", "for", "and", "the", "these", "this", "following", "tool", "function", "arguments", "argument"),
    *(
        "parameters",
        "parameter",
        "params",
        "args",
        "inputs",
        "input",
        "action",
        "tool_input",
        "function_args",
        "values",
    ),
    *("json", "code", "to", "action_input", "kwargs", "data", "none", "null"),
    *("mit", "den", "argumenten", "argumente", "con", "los", "argumentos", "gli", "argomenti", "parametri", "avec"),
    *("les", "paramètres", "parámetros", "parametern", "参数", "参数为", "引数"),
)
_SEPARATES = rf"(?:<\|\w{{1,40}}\|>|(?:{'|'.join(_SEPARATING)})(?![\w])|:\d{{1,3}}(?!\d)|[\s\"'`*,:=(\[<|>→)\]?，：-])"
_FULL_SEPARATION = re.compile(rf"{_SEPARATES}{{0,40}}", re.IGNORECASE)
_TOKEN_BEGUN = re.compile(r"<\|\w{0,40}\|?\Z")
_LAST_WORD = re.compile(r"\w{0,40}\Z")


def _run(text: str, end: int, begin: int) -> int:
    """Where the words and signs begin that lead to `end`, whatever they are worth."""
    found = _RUN.search(text, max(begin, end - _FAR), end)
    return found.start() if found else end


def held_from(text: str, begin: int, end: int | None = None) -> int:
    """From where on a text may lead to a call that is still to come, at its end or before `end`.

    Args:
        begin: what stands before was said already.
    """
    if end is not None:
        return _run(text, end, begin)
    fragment = _FRAGMENT.search(text, begin)
    if not fragment:
        return _run(text, len(text), begin)
    word = fragment[0].lower()
    if word[0] != "<" and not any(each.startswith(word) for each in _WORDS):
        return len(text)
    return min(_run(text, fragment.start(), begin), fragment.start())


def lead_start(text: str, begin: int, at: int) -> int:
    """Where that begins which leads to the call at `at`, and is no speech without it."""
    led = _run(text, at, begin)
    if _HAS_WORD.search(text, led, at):
        return led
    return bare_start(text, begin, at)


def bare_start(text: str, begin: int, at: int) -> int:
    """Where signs begin that stand right before `at`, as brackets and quotes do."""
    found = _ADJACENT.search(text, max(begin, at - _FAR), at)
    return found.start() if found else at


def after_call(text: str, last: bool) -> int | None:
    """How much of what follows a call belongs to it, as what closes brackets does; None if that shows later."""
    closed = _CLOSING.match(text)
    end = closed.end() if closed else 0
    if end == len(text) or (not last and _CLOSING_BEGUN.match(text, end)):
        return end if last else None
    return end if text[end].isspace() or text[end - 1 : end] in tuple("])}>|") else 0


_CLOSING = re.compile(
    r"(?:[\s\])}>*_~`\"'|;,.…]|-->|\[/(?:tool|function)[ _-]calls?\]"
    r"|[\[({|<*#=!-]{1,6}\s?/(?:tool|function)[ _-]?calls?|</[A-Za-z][\w:.\-]{0,40}>|\|/(?:tool|function)_calls?)*",
    re.IGNORECASE,
)
_CLOSING_BEGUN = re.compile(r"(?:-{1,2}|[\[({|<*#=!-]{1,6}\s?(?:/[\w: -]{0,40})?|</[\w:.\-]{0,40})\Z")


def is_odd(name: str) -> bool:
    """Whether a name is none of a language's words: `check_in` and `checkIn` are, `check-in` and `search` are not."""
    return bool(re.search(r"\w_\w|[a-z][A-Z]|\d", name))


def named_with(text: str, end: int, keys: Mapping[str, Any], pairs: bool = True) -> tuple[bool, str]:
    """Whether arguments follow a tool's name that ends at `end`.

    Args:
        keys: the properties of the tool's schema.
        pairs: they may be pairs of names and values.

    Returns:
        Whether that shows later, and the bracket with which the arguments begin: `{`, `(`, or `=` for bare pairs.
    """
    separation = _FULL_SEPARATION.match(text, end)
    assert separation
    at = separation.end()
    names = "|".join(map(re.escape, sorted(keys, key=len, reverse=True)))
    if re.match(r"\{\s*[\"'“}]", text[at:]) or (names and re.match(rf"\{{\s*(?:{names})\s*:", text[at:])):
        return False, "{"
    if not pairs and "(" not in text[end:at]:
        names = ""
    if names and re.match(rf"(?:{names})[\"'`*]{{0,3}}\s?[:=]\s?[^\s=]", text[at:]):
        return False, "(" if text[end:at].strip() == "(" else "="
    if names and re.match(rf"(?:{names})\s+\S", text[at:]) and text[end:at].endswith("--"):
        return False, "="
    rest = text[at:]
    if (token := _TOKEN_BEGUN.search(text, end)) and token.start() <= at:
        return True, ""
    waits = bool(re.fullmatch(r"\{\s{0,6}", rest)) or any(
        re.fullmatch(rf"{re.escape(key)}[\"'`*]{{0,3}}\s?[:=]?\s?", rest) for key in keys
    )
    word = rest.strip("{ ").lower()
    waits = waits or (
        bool(_LAST_WORD.fullmatch(word)) and any(each.lower().startswith(word) for each in (*_SEPARATING, *keys))
    )
    return waits and len(text) - end < _FAR * 2, ""


_SURELY = (
    r"(?:(?:\A|(?<=[\n\[(*_`])|(?<=[.!?…]\s))(?:tool|function)[ _-]?calls?[`*\])]{0,4}\s?:\s?|"
    r"(?<![\w.])functions\.|(?<![\w.])Action:[\s*]{0,4})"
    r"[\"'`*]{0,3}"
)
_SURE = re.compile(
    rf"{_SURELY}([A-Za-z_][\w.\-]{{0,60}}){_SEPARATES}{{0,12}}?(?=\{{\s*[\"'}}]|\(\s*(?:\)|[\"'{{]|\w+\s*[=:]))",
    re.IGNORECASE,
)
_SURE_BEGUN = re.compile(rf"{_SURELY}([\w.\-]{{0,60}})({_SEPARATES}{{0,12}})", re.IGNORECASE)


def spellings(names: Iterable[str]) -> dict[str, str]:
    """The names as models spell them, each with the name that is meant: `getWeather` is `get_weather`."""
    found: dict[str, str] = {}
    for name in names:
        parts = re.split(r"[_\-]", name)
        if len(parts) > 1:
            pascal = "".join(part[:1].upper() + part[1:] for part in parts)
            for like in (
                pascal,
                pascal[:1].lower() + pascal[1:],
                "-".join(parts),
                "_".join(parts).title(),
                name.upper(),
            ):
                found.setdefault(like, name)
    return found | {name: name for name in names}


_LABEL = (
    r"(?:(?:action|tool|function|(?:tool|function)[ _-]?call|call(?:ing)?(?: (?:the )?(?:tool|function))?)"
    r"[ \t]{0,2}:?[ \t]{1,3}|functions\.)?"
)
_ALONE = re.compile(
    rf"(?:(?<=[.!?…\n]\s)|(?<=\n)|\A)({_LABEL}[\[({{*`@/<]{{0,3}}){_LABEL}(?P<name>[A-Za-z][\w\-]{{0,80}})"
    r"(?P<closed>[\])}*`>]{0,3})[.…]{0,3}(?:[ \t]*\n\s{0,3}(?:Action Input:?)?[ \t]*(?:None|null|N/A|\{\s?\})?)?\s*\Z",
    re.IGNORECASE,
)


def alone(text: str, begin: int, names: Mapping[str, str]) -> tuple[int, str] | None:
    """Where a tool's name stands alone at the end, in brackets, behind a label or by itself; and the tool."""
    for found in _ALONE.finditer(text, begin):
        sure = is_odd(found["name"]) or found["closed"][:1] in ("]", ">", "`")
        if found["name"] in names and sure:
            return found.start(), names[found["name"]]
    return None


def surely_called(text: str, begin: int, last: bool) -> tuple[int, bool] | None:
    """Where the name stands of a tool that is called for certain, of whatever name, and whether that shows later."""
    if sure := _SURE.search(text, begin):
        return sure.start(1), False
    for begun in () if last else _SURE_BEGUN.finditer(text, begin):
        rest = text[begun.end() :]
        word = rest.strip("({ ").lower()
        opened = re.search(r"[({]", text[begun.end(1) :])
        waits = re.fullmatch(r"[({]?\s{0,6}\w{0,40}\s{0,6}", rest) and (
            not word or opened or any(each.startswith(word) for each in _SEPARATING)
        )
        token = _TOKEN_BEGUN.search(text, begun.end(1))
        if waits or (token and token.start() <= begun.end()):
            return begun.start(), True
    return None


def unworded(text: str, name_end: int) -> str:
    """A call with its arguments in braces, without the words between."""
    separation = _FULL_SEPARATION.match(text, name_end)
    assert separation
    return f"{text[:name_end]}\n{text[separation.end() :]}" if text.startswith("{", separation.end()) else text


def pairs_end(text: str, last: bool) -> int:
    """Where bare pairs end that a tool's name begins: at the end of a sentence, or of the lines that are pairs."""
    for stop in _STOPS.finditer(text):
        if stop[0][0] != "\n":
            return stop.start() + 1
        line = text[stop.end() :]
        if _PAIR.match(line) or (not last and _PAIR_BEGUN.fullmatch(line)):
            if _PAIR.match(line):
                continue
            return -1
        return stop.start()
    return len(text) if last else -1


_STOPS = re.compile(r"(?<!\bSt)(?<!\bMr)(?<!\bDr)(?<!\bMrs)[.!?…](?=\s+\S)|\n")
_PAIR = re.compile(r"[\s\-*]*[\"'`*]*\w{1,40}[\"'`*]*\s?[:=]")
_PAIR_BEGUN = re.compile(r"[\s\-*]*[\"'`*]*\w{0,40}[\"'`*]*\s?")


def pairs_of(text: str, properties: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The arguments of a text that is nothing but pairs of the properties' names and values.

    Raises:
        ValueError: there is something else in it.
    """
    names = "|".join(map(re.escape, sorted(properties, key=len, reverse=True)))
    if not names:
        raise ValueError("the tool has no arguments")
    option, pair = rf"--({names})(?:\s*=\s*|\s+)", rf"[\"'`*]{{0,3}}({names})[\"'`*]{{0,3}}\s*[:=](?!=)\s*"
    found = list(re.finditer(rf"(?<![\w-])(?:{option}|{pair})", text))
    if not found or not _FULL_SEPARATION.fullmatch(text[: found[0].start()]):
        raise ValueError("what is written is no pairs")
    pairs: list[tuple[str, str]] = []
    for pair_found, following in zip(found, [*found[1:], None], strict=True):
        value = text[pair_found.end() : following.start() if following else len(text)]
        value = re.sub(r"\s+(?:and|und|et|y|e)\s*\Z", "", value) if following else value
        if quoted := re.match(r"\s*([\"'`])(.*?)(?<!\\)\1", value, re.DOTALL):
            pairs.append((pair_found[1] or pair_found[2], quoted[2]))
        else:
            pairs.append((pair_found[1] or pair_found[2], value.strip(" \t\r\n,;|.…]})>*`\"'&-")))
    return pairs
