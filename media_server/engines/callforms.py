"""The calls that stand between a model's marks, in whichever of the known forms they are written. Pure.

Models are taught one form and write others, so the form is seen from what is written: JSON in its many shapes, Python's
calls, XML-like elements, a name before its arguments.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from media_server.engines.literals import Balance, Invocation, Values, json_text
from media_server.engines.phrases import named_with, pairs_of, unworded
from media_server.engines.typed import ELEMENT, child, properties_of, typed

__all__ = ["TOOL_PREFIXES", "Called", "NotACall", "calls_in"]


class Called(NamedTuple):
    """A call in a reply; `arguments` is a JSON object."""

    name: str
    arguments: str


class NotACall(ValueError):
    """What is written is no call, or not a whole one; the message says why."""


_ARGUMENTS = (
    *("arguments", "parameters", "args", "params", "action_input", "tool_input", "input", "kwargs"),
    *("function_args", "tool_args", "toolArgs", "tool_arguments", "function_arguments"),
)
_NAMES = (
    *("name", "tool_name", "tool", "function", "action", "recipient_name", "function_name", "toolName"),
    *("functionName", "method"),
)
_HOLDERS = ("function", "function_call", "functionCall", "tool_call", "toolCall", "tool", "call", "action", "command")
"""Keys of an object that holds a call."""
_BESIDE = {"id", "type", "tool_call_id", "call_id", "index", *_ARGUMENTS, *_NAMES}
"""Keys that an object may have and still be nothing but a call."""
_NAME = re.compile(r"[A-Za-z_][\w.\-]*")
TOOL_PREFIXES = ("functions.", "function.", "default_api.", "tools.", "tool.", "api.", "self.", "agent.", "client.")
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
    r"|</?tool_sep>|✿ARGS✿:|(?<=\n)Action Input:|<\|tool▁sep\|>"
)
_EACH = re.compile(
    r"<[｜|]tool[▁_ ]call[▁_ ]begin[｜|]>|<[｜|]tool[▁_ ]call[▁_ ]end[｜|]>|<\|tool_call_(?:begin|end)\|>"
    r"|<\|tool_call:end\|>|<\|tool_call:begin\|>[^<]*<\|tool_call:name\|>|</?tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|<\|eom_id\|>"
    r"|</?tool_calls?>|<\|plugin\|>"
)
"""Marks between the calls of one block, which is read as one after the other."""
_HEADER = re.compile(
    r"(?:function\s*\n|call:|Call:\s*|Action:\s*|functions?[.:](?=\w))?\s*([A-Za-z_][\w.\-]*)(?::\d+)?\s*(?::\s*(?=\{))?"
)
_DOUBLED = re.compile(r"\{\s*(?=\{)")
"""Braces that a template showed doubled."""
_FENCE = re.compile(r"```[ \t]*\w*[ \t]*\n?")
_HEAD = re.compile(
    r"""<(?:function|invoke|call|tool|action)(?:\s?=|\s+(?:name|tool|function)\s?=)\s*["']?([^"'>\s{(/]+)["']?([^>{]*)>"""
)
_HEAD_LEFT_OPEN = re.compile(r"(<function=[\w.\-]+)\s*,?\s*(?=[{(])")
_INDEX = re.compile(r":\d+\Z")
"""Which call it is, behind a name."""
_HEAD_ENDS = re.compile(r"</(?:function|invoke|call|tool|action)>")
_PARAMETER = re.compile(
    r"""<(?:parameter|param|argument|arg)(?:=|\s+(?:name|key)=)\s*["']?([^"'>]+?)["']?((?:\s+\w+=(?:"[^"]*"|'[^']*'))*)\s*/?>"""
)
_PARAMETER_ENDS = re.compile(r"</(?:parameter|param|argument|arg)>")
_KEY = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)(?:</arg_value>|(?=<arg_key>)|\Z)", re.DOTALL)
_CLOSED = re.compile(r"</(?:function|invoke|call|tool|action|parameter|param|argument|arg)>(?:\s*</\w+>)*\s*\Z")
_THOUGHT = re.compile(r"<(think(?:ing)?|thought|reasoning)>.*?</\1>", re.DOTALL)
_TOLD_NAME = re.compile(r"<(tool_name|function_name|name|tool|function)>\s*([\w.\-]+)\s*</\1>")
_TOLD_ARGUMENTS = re.compile(r"<(arguments|parameters|args|params|input)>(.*?)(?:</\1>|\Z)", re.DOTALL)


def calls_in(
    text: str, offered: Collection[str], types: Mapping[str, Any], whole: bool, marked: bool, worded: bool = False
) -> list[Called]:
    """The calls that a text consists of.

    Args:
        offered: names of the tools that may be called; others are calls only where their form leaves no doubt.
        types: by its name, each tool's JSON Schema: what a value that is written without quotes is.
        whole: the text is complete; else what is not closed in it is no call.
        marked: it stands between marks of calls.
        worded: a tool's name in it may be followed by its arguments in words.

    Raises:
        NotACall: it is none, or something beside them.
    """
    first: NotACall | None = None
    for each in dict.fromkeys((text, *(plain(text) for plain in _UNESCAPED))):
        try:
            return _calls_in(each, offered, types, whole, marked)
        except NotACall as e:
            first = first or e
    if worded and offered and (calls := _in_words(text, offered, types, whole)):
        return calls
    assert first
    raise first


_UNESCAPED = (html.unescape, lambda text: text.replace('\\"', '"'))


def _calls_in(text: str, offered: Collection[str], types: Mapping[str, Any], whole: bool, marked: bool) -> list[Called]:
    try:
        text = _HEAD_LEFT_OPEN.sub(r"\1>", _plain(text))
        if _HEAD.search(text):
            called = list(_elements(text, types, whole))
        elif "<arg_key>" in text:
            called = list(_keys(text, types, whole))
        elif text[:1] not in ("{", "[") and _TOLD_NAME.search(text):
            called = list(_told(text, types))
        elif (tool := ELEMENT.fullmatch(text)) and tool[1] in offered:
            called = list(_elements(f"<function={tool[1]}>{tool[2]}</function>", types, whole))
        else:
            called = _written(text, offered, whole, marked)
        calls = [_finished(name, arguments, offered, types) for name, arguments in called]
    except NotACall:
        raise
    except (ValueError, RecursionError) as e:
        raise NotACall(f"the call cannot be read: {e}") from e
    if not calls:
        raise NotACall("there is no call between the marks")
    return calls


def _finished(name: str, arguments: dict[str, Any], offered: Collection[str], types: Mapping[str, Any]) -> Called:
    name = _own(name, offered)
    if len(arguments) == 1 and (properties := properties_of(types.get(name))):
        ((key, inner),) = arguments.items()  # name(arguments={…})
        if key in _ARGUMENTS and key not in properties and isinstance(inner, dict):
            arguments = inner
    return Called(name, json_text(arguments))


def _in_words(text: str, offered: Collection[str], types: Mapping[str, Any], whole: bool) -> list[Called]:
    """The first call in a text in which a tool's name is followed by arguments, whatever stands around it."""
    names = "|".join(re.escape(name) for name in sorted(offered, key=len, reverse=True))
    for name in re.finditer(rf"(?<![\w\-])({names})(?!\w)", text):
        properties = properties_of(types.get(name[1]))
        rest = text[name.end() :]
        try:
            if re.match(r"\s?\(", rest):
                return _calls_in(_until_closed(name[1] + rest.lstrip()), offered, types, whole, marked=True)
            if named_with(text, name.end(), properties)[1] == "{":
                value = unworded(name[1] + rest, len(name[1]))
                return _calls_in(_until_closed(value), offered, types, whole, marked=True)
            given = {key: typed(value, properties.get(key)) for key, value in pairs_of(rest, properties)}
            return [_finished(name[1], given, offered, types)]
        except ValueError:
            continue
    return []


def _until_closed(text: str) -> str:
    """The text up to the bracket that closes the first one."""
    first = re.search(r"[({]", text)
    if not first:
        return text
    balance = Balance()
    balance.skip(first.start())
    end = balance.end(text)
    return text if end < 0 else text[:end]


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
    if known is None and _bare(value.name) in _CALLERS and (told := _told_by(value)):
        yield from _shaped(told, offered, marked)
        return
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


_CALLERS = (
    "calltool",
    "usetool",
    "toolcall",
    "functioncall",
    "callfunction",
    "invoke",
    "invoketool",
    "toolscall",
    "call",
)
"""Functions by which tools seem to be called."""


def _told_by(value: Invocation) -> dict[str, Any] | None:
    """The call that such a function is given: a name, and an object of arguments."""
    if not value.positional:
        return value.arguments if any(k in value.arguments for k in _NAMES) else None
    name, *given = value.positional
    if isinstance(name, str) and len(given) <= 1:
        return {"name": name, "arguments": given[0] if given else value.arguments}
    return None


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
    elif several := next((value[k] for k in ("tool_calls", "tool_uses") if isinstance(value.get(k), list)), None):
        yield from _shaped(several, offered, marked)
    elif value.get("method") == "tools/call":  # as the Model Context Protocol has it
        yield from _shaped(value.get("params"), offered, marked)
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
    name = re.split(r"__|[./:]", name)[-1]
    like = [name] if name in offered else [each for each in offered if _bare(each) == _bare(name)]
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
        schema = properties_of(types.get(_own(head[1], types)))
        if parameters := list(_PARAMETER.finditer(body)):
            yield head[1], dict(_parameters(body, parameters, schema))
        elif body.strip().startswith("{"):
            yield head[1], _object(Values(body.strip(), closing=whole).value())
        else:
            children = ELEMENT.findall(body)
            if not children:
                yield head[1], _in_body(head, body, schema, whole)
            else:
                yield head[1], {key: child(value, schema.get(key)) for key, value in children}


def _in_body(head: re.Match[str], body: str, schema: Mapping[str, Any], whole: bool) -> dict[str, Any]:
    """Arguments as pairs: in the body of an element, in parentheses there, or as its attributes."""
    body = body.strip().removesuffix(">").rstrip()
    if body.startswith("("):
        value = Values(f"call{body}", closing=whole).value()
        if not isinstance(value, Invocation):
            raise NotACall("the arguments have no names")
        if len(value.positional) == 1 and isinstance(value.positional[0], dict):
            return value.positional[0]
        return value.arguments
    pairs = body or head[2].strip(" /\"'")
    if not pairs:
        return {}
    try:
        return {key: typed(value, schema.get(key)) for key, value in pairs_of(pairs, schema)}
    except ValueError as e:
        if not body:
            return {}  # other attributes say nothing
        raise NotACall("the arguments have no names") from e


def _parameters(body: str, parameters: list[re.Match[str]], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for parameter, following in zip(parameters, [*parameters[1:], None], strict=True):
        inner = body[parameter.end() : following.start() if following else len(body)]
        ends = list(_PARAMETER_ENDS.finditer(inner))
        value = inner[: ends[-1].start()] if ends else inner
        if attribute := re.search(r"""\svalue=(?:"([^"]*)"|'([^']*)')""", parameter[2]):
            value = attribute[1] or attribute[2] or ""
        said = re.search(r'string="(\w+)"|type="(\w+)"', parameter[2])
        declared: Any = schema.get(parameter[1])
        if said:
            declared = {"type": "string" if said[1] == "true" or said[2] == "string" else "json"}
        yield parameter[1], typed(value, declared)


def _keys(text: str, types: Mapping[str, Any], whole: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """`name<arg_key>…</arg_key><arg_value>…</arg_value>…`"""
    if not whole and not text.endswith("</arg_value>"):
        raise NotACall("the call is not whole")
    for part in filter(None, (p.strip() for p in re.split(r"</?tool_calls?>", text))):
        name = part.partition("<arg_key>")[0].strip()
        if not _NAME.fullmatch(name):
            raise NotACall("a call without a name")
        schema = properties_of(types.get(name))
        pairs = _KEY.findall(part)
        yield name, {key.strip(): typed(value, schema.get(key.strip())) for key, value in pairs}


def _told(text: str, types: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`<name>…</name><arguments>…</arguments>`"""
    names = list(_TOLD_NAME.finditer(text))
    for name, following in zip(names, [*names[1:], None], strict=True):
        rest = text[name.end() : following.start() if following else len(text)]
        body = _TOLD_ARGUMENTS.search(rest)
        given = (body[2] if body else rest).strip()
        schema = properties_of(types.get(_own(name[2], types)))
        if given.startswith("{"):
            yield name[2], _object(Values(given).value())
        else:
            yield name[2], {key: child(value, schema.get(key)) for key, value in ELEMENT.findall(given)}
