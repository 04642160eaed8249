"""JSON Schemas of tools' arguments: put right where they cannot be taken as they are, and what is given fitted to them.

A schema may come from anybody: from a developer's types, a file, another program or a client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from media_server.jsonable import jsonable

__all__ = ["fitted", "misfits", "put_right"]

DEEPEST = 30
"""Schemas within schemas; what is deeper may be anything."""
MAX_MISFITS = 5
"""Told of at once."""
MAX_STEPPED = 1e12
"""Numbers up to which it is looked whether they are multiples; beyond, floats are not exact."""
MAX_CHOICES, LONGEST_CHOICES = 500, 8000
"""Values of an enum, and their characters; more would fill a model's prompt at every turn."""
TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
_WAYS = ("anyOf", "oneOf", "allOf")
_LISTS = ("enum", *_WAYS, "prefixItems")
_TABLES = ("properties", "patternProperties")
_SCHEMAS = ("items", "additionalProperties", "not", "contains", "propertyNames")
_INTEGER, _NUMBER = re.compile(r"-?\d{1,15}"), re.compile(r"-?\d{1,15}(\.\d{1,15})?([eE][+-]?\d{1,2})?")


def put_right(schema: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A schema of an object that every template and grammar can read, and what of the given one was left out."""
    problems: list[str] = []
    given = jsonable(schema)
    if not isinstance(given, dict):
        if given is not None:
            problems.append(f"the parameters are {_shown(given)}, which is no schema")
        given = {}
    right = _right(given, "", 0, problems)
    if right.setdefault("type", "object") != "object":
        problems.append(f"the parameters are {_shown(right['type'])} in place of an object")
        right = {"type": "object"}
    _with_members_of_ways(right)
    return right, tuple(problems)


def _with_members_of_ways(right: dict[str, Any]) -> None:
    """Add the properties that stand in the ways of an object, where neither templates nor models look for them."""
    properties: dict[str, Any] = dict(right.get("properties", {}))
    required = list(right.get("required", ()))
    for key in _WAYS:
        ways = [way for way in right.get(key, ()) if isinstance(way.get("properties"), dict)]
        for way in ways:
            properties = way["properties"] | properties
        if key == "allOf":
            required += [name for way in ways for name in way.get("required", ())]
    right["properties"] = properties
    if required:
        right["required"] = list(dict.fromkeys(required))


def _right(schema: dict[str, Any], where: str, depth: int, problems: list[str]) -> dict[str, Any]:
    right: dict[str, Any] = {}
    nullable = False
    for key, value in schema.items():
        of = f"{where}: " if where else ""
        if key in _TABLES:
            if not isinstance(value, dict):
                problems.append(f"{of}{key} is {_shown(value)} in place of a table")
                continue
            at = f"{where}." if where else ""
            right[key] = {name: _member(each, at + name, depth, problems) for name, each in value.items()}
        elif key in _LISTS:
            if not isinstance(value, list) or not value:
                problems.append(f"{of}{key} is {_shown(value)}, which allows nothing")
            elif key == "enum" and (len(value) > MAX_CHOICES or len(json.dumps(value)) > LONGEST_CHOICES):
                problems.append(f"{of}an enum of {len(value)} values is too much for a prompt, so it may be any")
            elif key == "enum":
                right[key] = value
            else:
                right[key] = [_member(v, where, depth, problems) for v in value]
        elif key == "type":
            kinds = [k for k in (value if isinstance(value, list) else [value]) if k in TYPES]
            if not kinds or (isinstance(value, list) and len(kinds) < len(value)):
                problems.append(f"{of}type is {_shown(value)}, which JSON has not")
            if kinds:
                right[key] = kinds if len(kinds) > 1 else kinds[0]
        elif key == "required":
            if isinstance(value, list):
                right[key] = [name for name in value if isinstance(name, str)]
            else:
                problems.append(f"{of}required is {_shown(value)} in place of a list of names")
        elif key in _SCHEMAS and not isinstance(value, bool):
            right[key] = _member(value, where, depth, problems)
        elif key == "nullable":  # OpenAPI's
            nullable = value is True
        elif key == "description":
            right[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        else:
            right[key] = value
    if nullable and (types := _kinds(right)) and "null" not in types:
        right["type"] = [*types, "null"]
    return right


def _member(schema: Any, where: str, depth: int, problems: list[str]) -> dict[str, Any]:
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        problems.append(f"{where}: {_shown(schema)} is no schema, so it may be anything")
        return {}
    if depth >= DEEPEST:
        problems.append(f"{where}: more than {DEEPEST} schemas within each other")
        return {}
    return _right(schema, where, depth + 1, problems)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}…"


def fitted(value: Any, schema: Any) -> Any:
    """What a model wrote, in the types that a schema wants, where it is clear what is meant: a number for its digits.

    What does not fit stays as it is. The schema is one that was put right.
    """
    return _fitted(value, schema, 0)


def _fitted(value: Any, schema: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return value
    for key in ("anyOf", "oneOf"):
        ways = schema.get(key)
        if isinstance(ways, list) and ways:
            return value if any(_fits(value, way) for way in ways) else _as_one_of(value, ways, depth)
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        same = [c for c in choices if str(c).strip().casefold() == str(value).strip().casefold()]
        return same[0] if len(same) == 1 else value
    kinds = _kinds(schema)
    if kinds and not any(_is(value, kind) for kind in kinds):
        value = _as(value, kinds)
    if isinstance(value, dict):
        return _members_fitted(value, schema, depth)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [_fitted(each, schema["items"], depth + 1) for each in value]
    return value


def _fits(value: Any, schema: Any) -> bool:
    return not any(True for _ in _misfits(value, schema, "", 0))


def _as_one_of(value: Any, ways: list[Any], depth: int) -> Any:
    for way in ways:
        tried = _fitted(value, way, depth + 1)
        if _fits(tried, way):
            return tried
    return value


def _as(value: Any, kinds: tuple[str, ...]) -> Any:
    """The value in one of these types, if there is one that it can be read as."""
    text = value.strip() if isinstance(value, str) else None
    for kind in kinds:
        match kind:
            case "string" if isinstance(value, int | float):
                return json.dumps(value)
            case "integer" if text is not None and _INTEGER.fullmatch(text):
                return int(text)
            case "integer" if isinstance(value, float) and value.is_integer():
                return int(value)
            case "number" if text is not None and _NUMBER.fullmatch(text):
                return int(text) if _INTEGER.fullmatch(text) else float(text)
            case "boolean" if text is not None and text.casefold() in ("true", "false", "yes", "no"):
                return text.casefold() in ("true", "yes")
            case "null" if text is not None and text.casefold() in ("null", "none", ""):
                return None
            case "array" | "object" if text is not None and text[:1] == ("[" if kind == "array" else "{"):
                try:
                    return json.loads(text)
                except (ValueError, RecursionError):
                    continue
            case "array" if not isinstance(value, dict) and value is not None:
                return [value]
    return value


def _members_fitted(value: dict[str, Any], schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return value
    required = schema.get("required") or ()
    plain = {re.sub(r"[^a-z0-9]", "", name.casefold()): name for name in properties if name not in value}
    members: dict[str, Any] = {}
    for name, given in value.items():
        meant = name if name in properties else plain.get(re.sub(r"[^a-z0-9]", "", name.casefold()), name)
        each = _fitted(given, properties.get(meant), depth + 1)
        if each is None and meant in properties and meant not in required and not _fits(None, properties[meant]):
            continue  # models write null for what they leave out
        members[meant] = each
    return members


def misfits(value: Any, schema: Any) -> list[str]:
    """What of a value does not fit a schema, in sentences for a model; patterns of texts are not looked at.

    The schema is one that was put right.
    """
    found: list[str] = []
    for problem in _misfits(value, schema, "", 0):
        found.append(problem)
        if len(found) == MAX_MISFITS:
            break
    return found


def _misfits(value: Any, schema: Any, where: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping) or depth > DEEPEST:
        return
    of = f"{where}: " if where else ""
    for key in ("anyOf", "oneOf"):
        ways = schema.get(key)
        if isinstance(ways, list) and ways and all(any(_misfits(value, way, "", depth + 1)) for way in ways):
            yield f"{of}it fits none of {_shown(ways)}"
    for way in schema.get("allOf") or ():
        yield from _misfits(value, way, where, depth + 1)
    choices = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(choices, list) and choices and value not in choices:
        yield f"{of}it should be one of {_shown(choices)}"
        return
    kinds = _kinds(schema)
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{of}it should be {' or '.join(kinds)}"
        return
    yield from (f"{of}{wrong}" for wrong in _out_of_bounds(value, schema))
    if isinstance(value, dict):
        properties = schema.get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        for name in schema.get("required") or ():
            if name not in value:
                yield f"{of}{name} is missing"
        others = schema.get("additionalProperties")
        for name, each in value.items():
            if name not in known and others is False and not schema.get("patternProperties"):
                yield f"{of}there is no argument {name}"
            yield from _misfits(each, known.get(name, others), f"{where}.{name}".lstrip("."), depth + 1)
    if isinstance(value, list):
        first = schema.get("prefixItems") or []
        for i, each in enumerate(value):
            one = first[i] if i < len(first) else schema.get("items")
            yield from _misfits(each, one, f"{where}.{i}".lstrip("."), depth + 1)


def _out_of_bounds(value: Any, schema: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, str):
        size, least, most = float(len(value)), "minLength", "maxLength"
    elif isinstance(value, list):
        size, least, most = float(len(value)), "minItems", "maxItems"
    elif _is(value, "number"):
        size, least, most = value, "minimum", "maximum"
    else:
        return
    lowest, highest = _number(schema, least), _number(schema, most)
    if lowest is not None and size < lowest:
        yield f"its {least} is {lowest}"
    if highest is not None and size > highest:
        yield f"its {most} is {highest}"
    if least != "minimum":
        return
    above, below = _number(schema, "exclusiveMinimum"), _number(schema, "exclusiveMaximum")
    if above is not None and size <= above:
        yield f"it should be more than {above}"
    if below is not None and size >= below:
        yield f"it should be less than {below}"
    step = _number(schema, "multipleOf")
    if step and step > 1e-6 and abs(size) < MAX_STEPPED and abs(size / step - round(size / step)) > 1e-6:
        yield f"it should be a multiple of {step}"


def _number(schema: Mapping[str, Any], key: str) -> float | None:
    value = schema.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    kind = schema.get("type")
    return tuple(k for k in (kind if isinstance(kind, list) else [kind]) if isinstance(k, str) and k in TYPES)


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)
