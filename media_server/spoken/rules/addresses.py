"""Web and e-mail addresses: names of hosts and short paths in words, long paths not at all. Pure."""

from __future__ import annotations

import re

from media_server.spoken.edits import Edits
from media_server.spoken.language import Language
from media_server.spoken.numbers import digits

__all__ = ["addresses"]

_ADDRESS = re.compile(
    r"(?<![\w@.+-])(?P<scheme>(?:https?|ftp)://|mailto:)?(?:(?P<who>[\w.+-]{1,64})@)?"
    r"(?P<host>(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}|(?<=://)[\w.-]{1,200})(?::(?P<port>\d{1,5}))?(?![\w@])"
    r"(?P<path>[/?#][^\s<>\"]{0,8000})?",
    re.IGNORECASE,
)
_TAIL = re.compile(r"[.,;:!?…)\]'»”*]+$")
_DOMAIN_NAMES = """
    com org net edu gov int mil info biz io ai dev app co tv eu uk us ca au nz ie de at ch fr be es mx ar cl pe it pt br
    nl tr ru pl cz se dk fi jp cn in shop online cloud example test tech site store blog
"""
_DOMAINS = frozenset(_DOMAIN_NAMES.split())
MAX_PATH = 40
"""Characters of a path up to which it is said."""


def addresses(edits: Edits, language: Language) -> None:
    """Say what is left of an address when it is told to somebody."""
    if "." not in edits.text and "://" not in edits.text:
        return
    for m in _ADDRESS.finditer(edits.text):
        host = m["host"]
        tld = host.rpartition(".")[2]
        short = bool(m["path"]) and m["path"][0] == "/" and len(tld) < 4 and tld.islower()  # "t.me/ann"
        if not (short or m["scheme"] or m["who"] or host.lower().startswith("www.") or tld in _DOMAINS):
            continue
        if f"{host.lower()}." in language.listed("never_ends"):
            continue  # "p.es."
        path = m["path"] or ""
        tail = _TAIL.search(path)
        end = m.end() - (len(tail[0]) if tail else 0)
        if edits.free(m.start(), end):
            path = path[: len(path) - len(tail[0])] if tail else path
            port = f", {digits(m['port'])}" if m["port"] else ""
            edits.put(m.start(), end, _said(m["who"], host, language) + port + _said_path(path, language))


def _said(who: str | None, host: str, language: Language) -> str:
    name = _spelled(host.removeprefix("www."), language)
    return f"{_spelled(who, language)} {language.word('at')} {name}" if who else name


def _said_path(path: str, language: Language) -> str:
    path = re.split(r"[?#]", path)[0].strip("/")
    if path and len(path) <= MAX_PATH:
        slash = language.word("slash")
        return "".join(f" {slash} {_spelled(part, language)}" for part in path.split("/") if part)
    return ""


def _spelled(text: str, language: Language) -> str:
    names = {".": "dot", "-": "dash", "_": "underscore", "+": "plus"}
    return "".join(f" {language.word(names[c])} " if c in names else c for c in text).strip()
