"""Pinecall's memory as data: its settings, what the model is asked about an exchange, what its answer changes. Pure."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from media_server.engines.messages import CalledTool, ChatMessage
from media_server.foreign import ForeignModel
from media_server.plain import plain
from media_server.store import Fact, Known

__all__ = [
    "TOOLS",
    "Learned",
    "MemoryShape",
    "Source",
    "as_contact",
    "as_fact",
    "as_markdown",
    "contact_in",
    "learned",
    "question",
]

MAX_TEXT = 300
"""Maximum characters of a fact, and of the words that it was told in."""
MAX_CHANGES = 10
"""Maximum facts that one answer of the model changes."""
MAX_CONTACT = 200
MAX_BRIEF = 50
REMEMBER = ("the caller's name", "lasting preferences", "how and when the caller wants to be contacted")
"""What is worth keeping where an agent does not say it."""
EVERYWHERE = frozenset({"caller", "customer"})
"""Words of notes that say nothing of what they are about."""
KINDS = ("identity", "preference", "contact", "health", "plan", "other")
PROMPT = """\
You keep notes about a caller, for the next time that person calls. Read what was just said, and note what the caller \
said about themselves, by calling the tools: remember_fact for something new, replace_fact where a note has changed, \
remove_fact where one holds no more. A note is one short sentence in the caller's language. Write nothing down that is \
in the notes already, that only the agent said, or that is of no use in another call. If there is nothing to note, \
answer with the word: nothing.

Worth noting:
{remember}
{forget}
Notes so far:
{notes}"""
NEVER = """
Never note:
{forget}
"""


def _string(description: str) -> dict[str, str]:
    return {"type": "string", "description": description}


_NUMBER = {"type": "integer", "description": "the note's number"}
_TEXT = _string("the note: one short sentence about the caller")
_KIND = {"type": "string", "enum": list(KINDS)}


def _tool(name: str, description: str, **parameters: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": parameters, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TOOLS = json.dumps(
    [
        _tool("remember_fact", "Note something new about the caller", kind=_KIND, text=_TEXT),
        _tool("replace_fact", "Note what has changed, in place of a note", number=_NUMBER, text=_TEXT),
        _tool("remove_fact", "Remove a note that holds no more", number=_NUMBER, reason=_string("why")),
    ]
)
"""What the model can do with its notes."""


def _several(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


_Brief = Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=MAX_BRIEF)]


class MemoryShape(ForeignModel):
    """What an agent is to remember of its contacts."""

    enabled: bool = True
    remember: _Brief = Field(default_factory=list)
    forget: _Brief = Field(default_factory=list)
    consolidate: Literal["turn", "call.ended"] = "turn"
    model: str = ""
    contact_key: Annotated[list[str], BeforeValidator(_several), Field(min_length=1, max_length=10)] = Field(
        default_factory=lambda: ["contactId", "userId", "phone"],
        validation_alias=AliasChoices("contactKey", "contact_key"),
    )
    """Where sealed metadata say who calls; the first that is there."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where something was learned."""

    call_id: str
    turn: int
    transport: str
    evidence: str
    """The caller's words."""
    at_s: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What an answer of the model changes."""

    added: Sequence[Fact] = ()
    ended: Sequence[str] = ()
    """The ids of facts that hold no more."""
    removed: Sequence[tuple[Fact, str]] = ()
    """Those of them that nothing took the place of, with the reason."""


def contact_in(sealed: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Who calls, as sealed metadata say; empty where they do not."""
    for key in keys:
        named = sealed.get(key)
        if isinstance(named, str | int) and not isinstance(named, bool) and str(named).strip():
            return as_contact(str(named))
    return ""


def as_contact(named: str) -> str:
    """The contact that is named so; empty where none can be."""
    contact = named.strip()
    return contact if len(contact) <= MAX_CONTACT and contact == plain(contact) and "\n" not in contact else ""


def question(wanted: MemoryShape, known: Known, said: Sequence[tuple[str, str]]) -> tuple[ChatMessage, ...]:
    """What the model is asked about what was said: pairs of who said it, `Caller` or `Agent`, and the words."""
    notes = "\n".join(f"{number}. {fact.text}" for number, fact in enumerate(known.holding, 1))
    never = NEVER.format(forget=_listed(wanted.forget)) if wanted.forget else ""
    brief = PROMPT.format(remember=_listed(wanted.remember or REMEMBER), forget=never, notes=notes or "none")
    exchange = "\n".join(f"{who}: {words}" for who, words in said)
    return ChatMessage("system", brief), ChatMessage("user", exchange)


def learned(calls: Sequence[CalledTool], known: Known, source: Source) -> Learned:
    """What the model's calls of `TOOLS` change; what makes no sense is left out."""
    holding = known.holding
    texts = {fact.text.casefold() for fact in holding}
    added: list[Fact] = []
    ended: list[str] = []
    removed: list[tuple[Fact, str]] = []
    for call in calls[:MAX_CHANGES]:
        arguments = _arguments(call)
        before = _numbered(holding, arguments.get("number"))
        text = _line(arguments.get("text"))
        if call.name == "remove_fact":
            if before and before.id not in ended:
                ended.append(before.id)
                removed.append((before, _line(arguments.get("reason"))))
            continue
        if not text or text.casefold() in texts or (before and before.id in ended):
            continue
        replaced = _replaced(before, text, holding) if call.name == "replace_fact" and before else None
        if replaced and replaced.id not in ended:
            ended.append(replaced.id)
            added.append(_fact(replaced.kind, text, replaced.id, source))
        elif call.name in ("remember_fact", "replace_fact"):
            kind = arguments.get("kind")
            added.append(_fact(kind if kind in KINDS else "other", text, None, source))
        else:
            continue
        texts.add(text.casefold())
    return Learned(tuple(added), tuple(ended), tuple(removed))


def as_fact(fact: Fact) -> dict[str, Any]:
    """A fact as programs are told it."""
    told = {
        "id": fact.id, "kind": fact.kind, "text": fact.text, "confidence": 1, "valid_from": _day(fact.learned_at),
        "evidence": fact.evidence,
    }  # fmt: skip
    return told | ({"supersedes": fact.supersedes} if fact.supersedes else {})


def as_markdown(contact: str, known: Known) -> str:
    """The facts that hold, as prompts and programs are shown them; empty where there are none."""
    facts = [f"## {f.kind} · {f.id}\n{f.text}  (since {_day(f.learned_at)})" for f in known.holding]
    return "\n\n".join([f"# {contact}", *facts]) if facts else ""


def _listed(items: Sequence[str]) -> str:
    return "\n".join(f"- {_line(item, 500)}" for item in items)


def _arguments(call: CalledTool) -> Mapping[str, Any]:
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _numbered(holding: Sequence[Fact], number: object) -> Fact | None:
    if isinstance(number, str) and number.isdecimal():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= len(holding):
        return None
    return holding[number - 1]


def _replaced(named: Fact, text: str, holding: Sequence[Fact]) -> Fact | None:
    """The note that a text takes the place of: the one that has most words in common with it, or none has any.

    Small models name the wrong note, and a name that was ended for a new address is lost.
    """
    words = _telling(text)
    common = {fact.id: len(words & _telling(fact.text)) for fact in (named, *holding)}
    most = max(common.values())
    return next(fact for fact in (named, *holding) if common[fact.id] == most) if most else None


def _telling(text: str) -> set[str]:
    """Words that may tell what a note is about; of scripts without spaces, characters."""
    return set(re.findall(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|[^\W\d_]{4,}", text.casefold())) - EVERYWHERE


def _line(text: object, most: int = MAX_TEXT) -> str:
    """One line of a text: facts stand in prompts, and are to be no headings there."""
    return re.sub(r"\s+", " ", plain(text)).strip().lstrip("#").strip()[:most] if isinstance(text, str) else ""


def _fact(kind: str, text: str, supersedes: str | None, source: Source) -> Fact:
    evidence = _line(source.evidence)
    return Fact(
        f"m_{secrets.token_hex(6)}", source.call_id, source.turn, source.transport, kind, text, evidence, supersedes,
        source.at_s,
    )  # fmt: skip


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).date().isoformat()
