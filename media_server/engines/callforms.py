"""The calls that stand between a model's marks, in whichever of the known forms they are written. Pure.

Models are taught one form and write others, so the form is seen from what is written: JSON in its many shapes, Python's
calls, XML-like elements, a name before its arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from media_server.engines.literals import Invocation, Values, json_text

__all__ = ["TOOL_PREFIXES", "Called", "NotACall", "calls_in"]


class Called(NamedTuple):
    """A call in a reply; `arguments` is a JSON object."""

    name: str
    arguments: str


class NotACall(ValueError):
    """What is written is no call, or not a whole one; the message says why."""


_ARGUMENTS = ("arguments", "parameters", "args", "params", "action_input", "tool_input", "input")
_NAMES = ("name", "tool_name", "tool", "function", "action")
_HOLDERS = ("function", "function_call", "tool_call", "tool", "call", "action")
"""Keys of an object that holds a call."""
_BESIDE = {"id", "type", "tool_call_id", "call_id", "index", *_ARGUMENTS, *_NAMES}
"""Keys that an object may have and still be nothing but a call."""
_NAME = re.compile(r"[A-Za-z_][\w.\-]*")
TOOL_PREFIXES = ("functions.", "function.", "default_api.", "tools.", "tool.")
"""What may stand before a tool's name."""

_NOISE = re.compile(r"\]<\]minimax\[>\[|<\|constrain\|>\s*\w*")
_NAMESPACE = re.compile(
    r"(</?)(?:｜DSML｜|atem:|minimax:|seed:|antml:|steptml:|longcat_"
    r"|[A-Za-z]\w*:(?=(?:function|invoke|call|parameter|param|argument|tool)))"
)
_SUFFIX = re.compile(r"(</?\w+):opensource>")
_OPEN, _CLOSE = re.compile(r"<\|open\|>([^<]*)<\|sep\|>"), re.compile(r"<\|close\|>([^<]*)<\|sep\|>")
_SEPARATORS = re.compile(
    r"\[CALL_ID\][\w-]*|\[ARGS\]|<\|tool_call_argument_begin\|>|<\|tool_call:args\|>|<｜tool▁sep｜>|<\|tool_sep\|>"
    r"|</?tool_sep>|✿ARGS✿:|(?<=\n)Action Input:"
)
_EACH = re.compile(
    r"<｜tool[▁_ ]call[▁_ ]begin｜>|<｜tool[▁_ ]call[▁_ ]end｜>|<\|tool_call_(?:begin|end)\|>|<\|tool_call:end\|>"
    r"|<\|tool_call:begin\|>[^<]*<\|tool_call:name\|>|</?tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|<\|eom_id\|>"
    r"|</?tool_calls?>|<\|plugin\|>"
)
"""Marks between the calls of one block, which is read as one after the other."""
_HEADER = re.compile(
    r"(?:function\s*\n|call:|Call:\s*|Action:\s*|functions?[.:](?=\w))?\s*([A-Za-z_][\w.\-]*)(?::\d+)?\s*(?::\s*(?=\{))?"
)
_DOUBLED = re.compile(r"\{\s*(?=\{)")
"""Braces that a template showed doubled."""
_FENCE = re.compile(r"```[ \t]*\w*[ \t]*\n?")
_HEAD = re.compile(r"""<(?:function|invoke|call)(?:=|\s+(?:name|tool)=)\s*["']?([^"'>\s{]+)["']?[^>{]*>""")
_HEAD_LEFT_OPEN = re.compile(r"(<function=[\w.\-]+)\s*(?=\{)")
_INDEX = re.compile(r":\d+\Z")
"""Which call it is, behind a name."""
_HEAD_ENDS = re.compile(r"</(?:function|invoke|call)>")
_PARAMETER = re.compile(
    r"""<(?:parameter|param|argument)(?:=|\s+(?:name|key)=)\s*["']?([^"'>]+?)["']?((?:\s+\w+="[^"]*")*)\s*>"""
)
_PARAMETER_ENDS = re.compile(r"</(?:parameter|param|argument)>")
_KEY = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)(?:</arg_value>|(?=<arg_key>)|\Z)", re.DOTALL)
_CLOSED = re.compile(r"</(?:function|invoke|call|parameter|param|argument)>(?:\s*</\w+>)*\s*\Z")
_THOUGHT = re.compile(r"<(think(?:ing)?|thought|reasoning)>.*?</\1>", re.DOTALL)
_TOLD_NAME = re.compile(r"<(tool_name|function_name|name|tool|function)>\s*([\w.\-]+)\s*</\1>")
_TOLD_ARGUMENTS = re.compile(r"<(arguments|parameters|args|params|input)>(.*?)(?:</\1>|\Z)", re.DOTALL)
_ELEMENT = re.compile(r"<([A-Za-z_][\w.\-]*)>(.*?)</\1>", re.DOTALL)


def calls_in(text: str, offered: Collection[str], types: Mapping[str, Any], whole: bool, marked: bool) -> list[Called]:
    """The calls that a text consists of.

    Args:
        offered: names of the tools that may be called; others are calls only where their form leaves no doubt.
        types: by its name, each tool's JSON Schema: what a value that is written without quotes is.
        whole: the text is complete; else what is not closed in it is no call.
        marked: it stands between marks of calls.

    Raises:
        NotACall: it is none, or something beside them.
    """
    try:
        text = _HEAD_LEFT_OPEN.sub(r"\1>", _plain(text))
        if _HEAD.search(text):
            called = list(_elements(text, types, whole))
        elif "<arg_key>" in text:
            called = list(_keys(text, types, whole))
        elif text[:1] not in ("{", "[") and _TOLD_NAME.search(text):
            called = list(_told(text, types))
        else:
            called = _written(text, offered, whole, marked)
        calls = [Called(_own(name, offered), json_text(arguments)) for name, arguments in called]
    except NotACall:
        raise
    except (ValueError, RecursionError) as e:
        raise NotACall(f"the call cannot be read: {e}") from e
    if not calls:
        raise NotACall("there is no call between the marks")
    return calls


def _plain(text: str) -> str:
    """The text without namespaces and separators that carry no meaning of their own."""
    text = _SUFFIX.sub(r"\1>", _NAMESPACE.sub(r"\1", _NOISE.sub("", text)))
    text = _OPEN.sub(r"<\1>", _CLOSE.sub(r"</\1>", text))
    return _SEPARATORS.sub("\n", text).strip()


# JSON, Python, and names before their arguments


def _written(text: str, offered: Collection[str], whole: bool, marked: bool) -> list[tuple[str, dict[str, Any]]]:
    try:
        return list(_values(text, offered, whole, marked))
    except (ValueError, RecursionError):
        # between marks something else may stand beside the call
        within = list(_within(_THOUGHT.sub("", text), offered)) if marked and whole else []
        if not within:
            raise
        return within


def _within(text: str, offered: Collection[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in a text that are calls of tools which are offered."""
    at = text.find("{")
    while at >= 0:
        values = Values(text, at)
        try:
            value = values.value()
            yield from _shaped(value, offered, marked=False)
            at = text.find("{", values.at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)


def _values(text: str, offered: Collection[str], whole: bool, marked: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in filter(None, (_FENCE.sub("", p).strip() for p in _EACH.split(text))):
        values = Values(part, closing=whole)
        while values.at < len(part):
            if part[values.at] in " \t\r\n;," or _DOUBLED.match(part, values.at):
                values.at += 1
                continue
            if part[values.at] in "{[" or (marked and part[values.at] == '"'):
                value = values.value()
                yield from _shaped(value, offered, marked)
                _surplus(part, values)
                continue
            yield from _named(part, values, offered, marked, whole)


def _surplus(part: str, values: Values) -> None:
    """Skip brackets that are closed once too often."""
    while part[values.at : values.at + 1] in ("}", "]"):
        values.at += 1


def _named(
    part: str, values: Values, offered: Collection[str], marked: bool, whole: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A name, and behind it arguments: in braces, in parentheses, or none."""
    header = _HEADER.match(part, values.at)
    if not header:
        raise NotACall("what stands between the marks is no call")
    name, end = header[1], header.end()
    if part.startswith("(", header.end(1)):
        values.at = header.start(1)
        yield from _invoked(values.value(), offered, marked)
    elif part.startswith("{", end):
        values.at = end
        arguments = values.value()
        if not marked and _offered(name, offered) is None:
            raise NotACall("it names no tool")
        yield name, _object(arguments)
    elif whole and _offered(name, offered) and (end == len(part) or part[header.end(1) : end].count("\n")):
        values.at = end
        yield name, {}
    else:
        raise NotACall("what stands between the marks is no call")


def _invoked(value: Any, offered: Collection[str], marked: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(value, Invocation):
        raise NotACall("it is no call")
    inner = [p for p in value.positional if isinstance(p, Invocation)]
    name = value.name.removesuffix(".call")
    known = _offered(name, offered)
    if known is None and inner:  # print(get_weather(…))
        for each in inner:
            yield from _invoked(each, offered, marked)
        return
    if known is None and not marked:
        raise NotACall("it names no tool")
    if len(value.positional) == 1 and isinstance(value.positional[0], dict) and not value.arguments:
        yield known or name, value.positional[0]
    elif value.positional:
        raise NotACall("the call does not say which of its arguments is which")
    else:
        yield known or name, value.arguments


def _shaped(value: Any, offered: Collection[str], marked: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """A call, or several, from a value of JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        yield from _shaped(Values(value.strip()).value(), offered, marked)
    elif isinstance(value, Invocation):
        yield from _invoked(value, offered, marked)
    elif isinstance(value, list):
        for each in value:
            yield from _shaped(each, offered, marked)
    elif not isinstance(value, dict):
        raise NotACall("it is no call")
    elif isinstance(value.get("tool_calls"), list):
        yield from _shaped(value["tool_calls"], offered, marked)
    elif held := next((value[k] for k in _HOLDERS if isinstance(value.get(k), dict)), None):
        yield from _shaped(held, offered, marked)
    else:
        yield _of_object(value, offered, marked)


def _of_object(value: dict[str, Any], offered: Collection[str], marked: bool) -> tuple[str, dict[str, Any]]:
    name = next((value[k] for k in _NAMES if isinstance(value.get(k), str)), None)
    given = next((value[k] for k in _ARGUMENTS if k in value), None)
    if name and _offered(name, offered):
        if given is None and (beside := {k: v for k, v in value.items() if k not in _BESIDE}):
            return name, beside  # the arguments stand beside the name
        return name, _object(given)
    if len(value) == 1:  # {"get_weather": {…}}
        ((key, inner),) = value.items()
        if (
            isinstance(inner, dict)
            and key not in _BESIDE
            and (_offered(key, offered) or (marked and _NAME.fullmatch(key)))
        ):
            return key, inner
    if name and _NAME.fullmatch(name) and set(value) <= _BESIDE and (marked or isinstance(given, dict)):
        return name, _object(given)
    raise NotACall("it names no tool")


def _object(given: Any) -> dict[str, Any]:
    for _ in range(_TEXTS_DEEP):
        if not isinstance(given, str) or not given.strip():
            break
        try:
            given = Values(given.strip()).value() if given.strip()[:1] in ("{", "[") else json.loads(given)
        except ValueError as e:
            raise NotACall("the arguments are no object") from e
    if given is None or given in ("", [], ()):
        return {}
    if isinstance(given, list) and all(isinstance(x, dict) and set(x) == {"name", "value"} for x in given):
        return {str(x["name"]): x["value"] for x in given}
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if not isinstance(given, dict):
        raise NotACall("the arguments are no object")
    return given


_TEXTS_DEEP = 3
"""How often arguments may have been made a text of JSON."""


def _offered(name: str, offered: Collection[str]) -> str | None:
    """The offered name that is meant; None for none."""
    if name in offered:
        return name
    name = _INDEX.sub("", name)
    for prefix in TOOL_PREFIXES:
        if name.startswith(prefix) and name.removeprefix(prefix) in offered:
            return name.removeprefix(prefix)
    like = [each for each in offered if _bare(each) == _bare(name)]
    return like[0] if len(like) == 1 else None


def _bare(name: str) -> str:
    """A name as small models mean it: `Get_order_status` and `getOrderStatus` are `get_order_status`."""
    return "".join(filter(str.isalnum, name)).casefold()


def _own(name: str, offered: Collection[str]) -> str:
    return _offered(name, offered) or name


# elements


def _elements(text: str, types: Mapping[str, Any], whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """`<function=…><parameter=…>…`, `<invoke name="…"><parameter name="…">…` and their kin."""
    heads = list(_HEAD.finditer(text))
    if not whole and not _CLOSED.search(text) and not text[heads[-1].end() :].lstrip().startswith("{"):
        raise NotACall("the call is not whole")
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        body = text[head.end() : following.start() if following else len(text)]
        body = _HEAD_ENDS.split(body)[0]
        schema = _properties(types.get(_own(head[1], types)))
        if parameters := list(_PARAMETER.finditer(body)):
            yield head[1], dict(_parameters(body, parameters, schema))
        elif body.strip().startswith("{"):
            yield head[1], _object(Values(body.strip(), closing=whole).value())
        else:
            children = _ELEMENT.findall(body)
            if not children and re.search(r"\S", body):
                raise NotACall("the arguments have no names")
            yield head[1], {key: _child(value, schema.get(key)) for key, value in children}


def _parameters(body: str, parameters: list[re.Match[str]], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for parameter, following in zip(parameters, [*parameters[1:], None], strict=True):
        inner = body[parameter.end() : following.start() if following else len(body)]
        ends = list(_PARAMETER_ENDS.finditer(inner))
        value = inner[: ends[-1].start()] if ends else inner
        said = re.search(r'string="(\w+)"|type="(\w+)"', parameter[2])
        declared: Any = schema.get(parameter[1])
        if said:
            declared = {"type": "string" if said[1] == "true" or said[2] == "string" else "json"}
        yield parameter[1], _typed(value, declared)


def _keys(text: str, types: Mapping[str, Any], whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """`name<arg_key>…</arg_key><arg_value>…</arg_value>…`"""
    if not whole and not text.endswith("</arg_value>"):
        raise NotACall("the call is not whole")
    for part in filter(None, (p.strip() for p in re.split(r"</?tool_calls?>", text))):
        name = part.partition("<arg_key>")[0].strip()
        if not _NAME.fullmatch(name):
            raise NotACall("a call without a name")
        schema = _properties(types.get(name))
        pairs = _KEY.findall(part)
        yield name, {key.strip(): _typed(value, schema.get(key.strip())) for key, value in pairs}


def _told(text: str, types: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`<name>…</name><arguments>…</arguments>`"""
    names = list(_TOLD_NAME.finditer(text))
    for name, following in zip(names, [*names[1:], None], strict=True):
        body = _TOLD_ARGUMENTS.search(text[name.end() : following.start() if following else len(text)])
        given = body[2].strip() if body else ""
        schema = _properties(types.get(_own(name[2], types)))
        if given.startswith("{"):
            yield name[2], _object(Values(given).value())
        else:
            yield name[2], {key: _child(value, schema.get(key)) for key, value in _ELEMENT.findall(given)}


def _child(value: str, declared: Any) -> Any:
    """The value of an element that may hold others."""
    inner = _ELEMENT.findall(value) if value.strip().startswith("<") else []
    if not inner:
        return _typed(value, declared)
    if all(key == "item" for key, _ in inner):
        return [_child(each, None) for _, each in inner]
    return {key: _child(each, None) for key, each in inner}


def _properties(schema: Any) -> Mapping[str, Any]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def _typed(value: str, declared: Any) -> Any:
    """What a value is that is written without quotes: text where a text is wanted, else what JSON makes of it."""
    value = value.removeprefix("\n").removesuffix("\n")
    kind = declared.get("type") if isinstance(declared, dict) else None
    if kind == "string":
        return value
    try:
        read = Values(value.strip()).value() if value.strip()[:1] in ("{", "[") else json.loads(value)
    except (ValueError, RecursionError):
        word = value.strip()
        return {"True": True, "False": False, "None": None}.get(word, value)
    if kind is None and not isinstance(read, dict | list) and json.dumps(read) != value.strip():
        return value  # 007 and 1e3 may be text
    return read
