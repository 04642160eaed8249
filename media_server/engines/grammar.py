"""The grammar of calls in JSON: the tools' names, their arguments' names, and the arguments' types. Pure.

It holds no more than that. How long a text is, what it matches and how large a number may be is checked when the call
has come: a repetition of some thousands ends llama.cpp's parser, and what a schema may say has no end.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from media_server.jsonable import sound

__all__ = ["Grammar", "call_grammar"]

LARGEST = 60_000
"""Characters of a grammar."""
DEEPEST = 12
MAX_PROPERTIES, MOST_CHOICES, LONGEST_CHOICES = 64, 100, 4000

_BASE = r"""
ws ::= | " " | "\n" [ \t]{0,20}
char ::= [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4})
string ::= "\"" char* "\""
digits ::= "0" | [1-9] [0-9]{0,15}
integer ::= "-"? digits
number ::= "-"? digits ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?
boolean ::= "true" | "false"
null ::= "null"
member ::= string ":" ws value
object ::= "{" ws (member ("," ws member)*)? ws "}"
array ::= "[" ws (value ("," ws value)*)? ws "]"
value ::= object | array | string | number | boolean | null
"""
_TYPES = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
    "object": "object",
    "array": "array",
}


class Grammar(NamedTuple):
    """GBNF whose `root` a reply follows from the text `trigger` on, which it holds as well."""

    gbnf: str
    trigger: str


class _TooLarge(ValueError):
    """The grammar would be larger than is good for its reader."""


@functools.lru_cache(64)
def call_grammar(tools: str, begin: str, end: str, arguments_key: str = "arguments") -> Grammar | None:
    """The calls that these tools allow; None where not even their names make a grammar.

    Args:
        tools: a JSON list of functions in OpenAI's form.
        begin: what stands before the calls; where it ends in `[`, they are a list.
        end: what stands behind them.
    """
    functions = _functions(tools)
    if not functions:
        return None
    for closed in (True, False):
        rules = _Rules()
        try:
            calls = " | ".join(
                rules.add(_call(name, arguments_key, rules.of(schema, 0) if closed else "object"))
                for name, schema in functions.items()
            )
            if begin.endswith("["):
                mark = _literal(begin[:-1])
                root = f'{mark} ws "[" ws call ("," ws call)* ws "]" ws {_literal(end.removeprefix("]"))}'
            else:
                call = f"{_literal(begin)} ws call ws {_literal(end)}"
                root = f"{call} (ws {call})*"
            return Grammar(f"root ::= {root}\ncall ::= {calls}\n{rules}{_BASE}", begin.removesuffix("["))
        except _TooLarge:
            continue
    return None


def _functions(tools: str) -> dict[str, Any]:
    """Each tool's parameters, by its name."""
    try:
        return {str(each["function"]["name"]): each["function"].get("parameters") for each in json.loads(tools)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _call(name: str, arguments_key: str, arguments: str) -> str:
    return (
        f'"{{" ws {_json("name")} ":" ws {_json(name)} "," ws {_json(arguments_key)} ":" ws {arguments}'
        f' ("," ws {_json("id")} ":" ws string)? ws "}}"'
    )


def _json(value: Any) -> str:
    """A value's JSON, to be written exactly so."""
    return _literal(json.dumps(value, ensure_ascii=False))


def _literal(text: str) -> str:
    escaped = sound(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped.replace(chr(10), chr(92) + "n").replace(chr(13), chr(92) + "r")}"' if text else ""


class _Rules:
    """Rules that are added while schemas are gone through; the same one twice is one."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._size = 0

    def __str__(self) -> str:
        return "".join(f"{name} ::= {body}\n" for body, name in self._names.items())

    def add(self, body: str) -> str:
        """The name of the rule with this body."""
        if body not in self._names:
            self._size += len(body) + 16
            if self._size > LARGEST:
                raise _TooLarge
            self._names[body] = f"r{len(self._names)}"
        return self._names[body]

    def of(self, schema: Any, depth: int) -> str:
        """The rule for what fits a schema; what is not understood in it holds nobody."""
        if not isinstance(schema, Mapping) or depth > DEEPEST:
            return "value" if depth else "object"
        if depth and (choices := self._choices(schema)):
            return choices
        for key in ("anyOf", "oneOf"):
            ways = schema.get(key)
            if depth and isinstance(ways, list) and 0 < len(ways) <= MOST_CHOICES:
                return self._one_of([self.of(way, depth + 1) for way in ways])
        if isinstance(schema.get("allOf"), list):
            only = schema["allOf"]
            return self.of(only[0], depth + 1) if len(only) == 1 and depth else ("value" if depth else "object")
        kind = schema.get("type", "object" if "properties" in schema or not depth else None)
        if isinstance(kind, list):
            known = [self.of({**schema, "type": each}, depth + 1) for each in kind if isinstance(each, str)]
            return self._one_of(known) if known and depth else ("value" if depth else "object")
        if kind == "object" or not depth:
            return self._object(schema, depth)
        if kind == "array" and isinstance(schema.get("items"), Mapping):
            item = self.of(schema["items"], depth + 1)
            some = f'{item} ("," ws {item})*'
            least = schema.get("minItems")
            return self.add(f'"[" ws {some if isinstance(least, int) and least > 0 else f"({some})?"} ws "]"')
        return _TYPES.get(kind, "value") if isinstance(kind, str) else "value"

    def _one_of(self, ways: list[str]) -> str:
        ways = list(dict.fromkeys(ways))
        return "value" if "value" in ways else ways[0] if len(ways) == 1 else self.add(" | ".join(ways))

    def _choices(self, schema: Mapping[str, Any]) -> str:
        """The rule for values that are given one by one."""
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if not isinstance(values, list) or not 0 < len(values) <= MOST_CHOICES:
            return ""
        try:
            written = [_json(value) for value in values]
        except (TypeError, ValueError, RecursionError):
            return ""
        return self.add(" | ".join(written)) if sum(map(len, written)) <= LONGEST_CHOICES else ""

    def _object(self, schema: Mapping[str, Any], depth: int) -> str:
        """Members in the schema's order; those that are not required may be left out."""
        properties = schema.get("properties")
        more = schema.get("additionalProperties")
        is_open = isinstance(more, Mapping) or more is True or bool(schema.get("patternProperties"))
        if not isinstance(properties, Mapping) or not properties:
            return self.add('"{" ws "}"') if properties == {} and not depth and not is_open else "object"
        if len(properties) > MAX_PROPERTIES:
            return "object"
        given = schema.get("required")
        required = {str(name) for name in given} if isinstance(given, list) else set()
        pairs = [
            (self.add(f'{_json(str(name))} ":" ws {self.of(inner, depth + 1)}'), str(name) in required)
            for name, inner in properties.items()
        ]
        others = '("," ws member)*' if is_open else ""
        tails = [others]
        """What may follow the members from each on, once there is one before."""
        for pair, needed in reversed(pairs):
            one = f'"," ws {pair}' if needed else f'("," ws {pair})?'
            tails.insert(0, self.add(f"{one} {tails[0]}".strip()))
        firsts = []
        for i, (pair, needed) in enumerate(pairs):
            firsts.append(f"{pair} {tails[i + 1]}".strip())
            if needed:
                break
        else:
            firsts += [f"member {others}"] * is_open
        some = " | ".join(firsts)
        anything = any(needed for _, needed in pairs)
        return self.add(f'"{{" ws ({some}){"" if anything else "?"} ws "}}"')
