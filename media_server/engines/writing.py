"""Calls as each family of models writes them. Pure.

Each function is given a tool's name and its arguments, a JSON object. It serves models whose template shows them tools
but drops the calls that they made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

__all__ = [
    "apertus",
    "atem",
    "cohere",
    "command_r",
    "deepseek",
    "dsml",
    "element",
    "enclosed",
    "functionary",
    "functools_list",
    "gemma",
    "gigachat_role",
    "glm",
    "harmony",
    "hermes",
    "hunyuan",
    "kimi",
    "kimi_k3",
    "lfm",
    "llama",
    "minimax",
    "minimax_m3",
    "mistral",
    "qwen_xml",
    "recipient",
    "seed",
    "solar",
    "tag_lines",
]


def _object(name: str, arguments: str, key: str = "arguments") -> str:
    return f'{{"name": {json.dumps(name)}, "{key}": {arguments}}}'


def _members(arguments: str) -> list[tuple[str, Any]]:
    given = json.loads(arguments)
    return list(given.items()) if isinstance(given, dict) else []


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def enclosed(begin: str, end: str) -> Callable[[str, str], str]:
    """The form of families that write a JSON object between two marks."""
    return lambda name, arguments: f"{begin}{_object(name, arguments)}{end}"


def hermes(name: str, arguments: str) -> str:
    return f"<tool_call>\n{_object(name, arguments)}\n</tool_call>"


def tag_lines(name: str, arguments: str) -> str:
    return f"<tool_calls>\n{_object(name, arguments)}\n</tool_calls>"


def functools_list(name: str, arguments: str) -> str:
    return f"functools[{_object(name, arguments)}]"


def llama(name: str, arguments: str) -> str:
    return _object(name, arguments, "parameters")


def mistral(name: str, arguments: str) -> str:
    return f"[TOOL_CALLS]{name}[ARGS]{arguments}"


def gigachat_role(name: str, arguments: str) -> str:
    return f"<|message_sep|>\n\nfunction call<|role_sep|>\n{_object(name, arguments)}"


def apertus(name: str, arguments: str) -> str:
    return f"<|tools_prefix|>[{{{json.dumps(name)}: {arguments}}}]<|tools_suffix|>"


def cohere(name: str, arguments: str) -> str:
    call = f'{{"tool_call_id": "0", "tool_name": {json.dumps(name)}, "parameters": {arguments}}}'
    return f"<|START_ACTION|>[\n    {call}\n]<|END_ACTION|>"


def command_r(name: str, arguments: str) -> str:
    return f'Action:\n```json\n[\n    {{"tool_name": {json.dumps(name)}, "parameters": {arguments}}}\n]```'


def deepseek(name: str, arguments: str) -> str:
    call = f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{arguments}<｜tool▁call▁end｜>"
    return f"<｜tool▁calls▁begin｜>{call}<｜tool▁calls▁end｜>"


def kimi(name: str, arguments: str) -> str:
    call = f"<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"
    return f"<|tool_calls_section_begin|>{call}<|tool_calls_section_end|>"


def solar(name: str, arguments: str) -> str:
    call = f"<|tool_call:begin|>0<|tool_call:name|>{name}<|tool_call:args|>{arguments}<|tool_call:end|>"
    return f"<|tool_calls|>{call}<|calls|>"


def harmony(name: str, arguments: str) -> str:
    return f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"


def functionary(name: str, arguments: str) -> str:
    return f"<function={name}>{arguments}</function>"


def recipient(name: str, arguments: str) -> str:
    return f"{name}\n{arguments}"


def lfm(name: str, arguments: str) -> str:
    given = ", ".join(f"{k}={v!r}" for k, v in _members(arguments))
    return f"<|tool_call_start|>[{name}({given})]<|tool_call_end|>"


def gemma(name: str, arguments: str) -> str:
    return f"<|tool_call>call:{name}{_gemma(json.loads(arguments))}<tool_call|>"


def _gemma(value: Any) -> str:
    match value:
        case str():
            return f'<|"|>{value}<|"|>'
        case list():
            return f"[{','.join(map(_gemma, value))}]"
        case dict():
            return f"{{{','.join(f'{k}:{_gemma(v)}' for k, v in value.items())}}}"
        case _:
            return json.dumps(value)


def qwen_xml(name: str, arguments: str) -> str:
    given = "".join(f"<parameter={k}>\n{_plain(v)}\n</parameter>\n" for k, v in _members(arguments))
    return f"<tool_call>\n<function={name}>\n{given}</function>\n</tool_call>"


def seed(name: str, arguments: str) -> str:
    given = "".join(f"<parameter={k}>{_plain(v)}</parameter>\n" for k, v in _members(arguments))
    return f"<seed:tool_call>\n<function={name}>\n{given}</function>\n</seed:tool_call>"


def element(name: str, arguments: str) -> str:
    given = "".join(f'<param name="{k}">{_plain(v)}</param>' for k, v in _members(arguments))
    return f'<function name="{name}">{given}</function>'


def _invoke(name: str, arguments: str, prefix: str) -> str:
    given = "".join(f'<{prefix}parameter name="{k}">{_plain(v)}</{prefix}parameter>\n' for k, v in _members(arguments))
    return f'<{prefix}invoke name="{name}">\n{given}</{prefix}invoke>'


def minimax(name: str, arguments: str) -> str:
    return f"<minimax:tool_call>\n{_invoke(name, arguments, '')}\n</minimax:tool_call>"


def atem(name: str, arguments: str) -> str:
    return f" to={name}<|message|><atem:function_calls>\n{_invoke(name, arguments, 'atem:')}\n</atem:function_calls>"


def dsml(name: str, arguments: str) -> str:
    given = "".join(
        f'<｜DSML｜parameter name="{k}" string="{str(isinstance(v, str)).lower()}">{_plain(v)}</｜DSML｜parameter>\n'
        for k, v in _members(arguments)
    )
    call = f'<｜DSML｜invoke name="{name}">\n{given}</｜DSML｜invoke>'
    return f"<｜DSML｜tool_calls>\n{call}\n</｜DSML｜tool_calls>"


def minimax_m3(name: str, arguments: str) -> str:
    mark = "]<]minimax[>["
    given = "".join(f"{mark}<{k}>{_plain(v)}{mark}</{k}>" for k, v in _members(arguments))
    call = f'{mark}<invoke name="{name}">{given}{mark}</invoke>'
    return f"{mark}<tool_call>\n{call}\n{mark}</tool_call>"


def glm(name: str, arguments: str) -> str:
    given = "".join(f"<arg_key>{k}</arg_key>\n<arg_value>{_plain(v)}</arg_value>\n" for k, v in _members(arguments))
    return f"<tool_call>{name}\n{given}</tool_call>"


def hunyuan(name: str, arguments: str) -> str:
    given = "".join(
        f"<arg_key:opensource>{k}</arg_key:opensource>\n<arg_value:opensource>{_plain(v)}</arg_value:opensource>\n"
        for k, v in _members(arguments)
    )
    call = f"<tool_call:opensource>{name}<tool_sep:opensource>\n{given}</tool_call:opensource>"
    return f"<tool_calls:opensource>\n{call}\n</tool_calls:opensource>"


def kimi_k3(name: str, arguments: str) -> str:
    given = "".join(
        f'<|open|>argument key="{k}" type="{_json_type(v)}"<|sep|>{_plain(v)}<|close|>argument<|sep|>'
        for k, v in _members(arguments)
    )
    call = f'<|open|>call tool="{name}" index="1"<|sep|>{given}<|close|>call<|sep|>'
    return f"<|open|>tools<|sep|>{call}<|close|>tools<|sep|>"


def _json_type(value: Any) -> str:
    match value:
        case str():
            return "string"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "null"
