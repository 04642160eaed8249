"""Tools: typed functions that the model may call, and what it is told of them."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NotRequired, overload

import docstring_parser
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, validate_call
from typing_extensions import TypedDict, get_type_hints

from media_server.agents.references import resolved
from media_server.agents.running import in_thread, staying
from media_server.agents.schemas import fitted, misfits, put_right
from media_server.jsonable import jsonable, require_bounded, sound

__all__ = ["Tool", "ToolAnswer", "ToolRefusal", "as_tool", "client_tool", "remote_tool", "tool"]

NAME = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"


class ToolRefusal(Exception):
    """The arguments do not fit; the sentence is for the model, which may try again."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool may return to say more than its result.

    Args:
        error: what went wrong, for the model; the result does not count then.
        ephemeral: it serves the reply under way and is kept nowhere.
        silent: the model need not say anything to it.
    """

    result: Any = None
    error: str = ""
    ephemeral: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """Something the model may do. Made by `@tool`, or by `client_tool` for what runs in the client.

    Args:
        parameters: JSON Schema of the arguments, an object without references.
        timeout_s: after this long the model is told that there was no answer.
        ephemeral: arguments and result serve the reply under way and are kept nowhere.
        speculative: may run before it is sure that the caller is done: it only looks something up.
        function: what runs here; None for a tool that runs in the client.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    timeout_s: float = 20
    ephemeral: bool = False
    speculative: bool = False
    function: Callable[..., Any] | None = None
    _arguments: TypeAdapter[dict[str, Any]] | None = field(default=None, repr=False, compare=False)
    _call_as: str = ""
    """The function's parameter that takes the call."""
    problems: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """What of the schema that was given could not be taken as it is."""

    @property
    def spec(self) -> dict[str, Any]:
        """The tool as the model's template is given it: a function in OpenAI's form."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def fitted(self, arguments: str) -> str:
        """The model's arguments (JSON) in the types that the schema wants, where it is clear what is meant."""
        return json.dumps(fitted(json.loads(arguments), self.parameters), ensure_ascii=False)

    def check(self, arguments: str) -> dict[str, Any]:
        """The model's arguments (JSON) as the function takes them.

        Raises:
            ToolRefusal: names each argument that does not fit.
        """
        try:
            if self._arguments is None:
                given = json.loads(arguments)
                if not isinstance(given, dict):
                    raise ToolRefusal("The arguments have to be an object.")
                if problems := misfits(given, self.parameters):
                    raise ToolRefusal(f"The arguments do not fit. {'; '.join(problems)}.")
                return given
            return self._arguments.validate_json(arguments)
        except ValidationError as e:
            wrong = (f"{'.'.join(map(str, x['loc'])) or 'arguments'}: {x['msg']}" for x in e.errors())
            raise ToolRefusal(f"The arguments do not fit. {'; '.join(wrong)}.") from e
        except ValueError as e:
            raise ToolRefusal(f"The arguments are not valid JSON: {e}.") from e

    async def run(self, arguments: dict[str, Any], call: Any) -> ToolAnswer:
        """Run the function; a plain one in a thread, which a timeout leaves behind. What it returns, as JSON has it."""
        assert self.function is not None
        with staying():
            if inspect.iscoroutinefunction(self.function):
                given = arguments | ({self._call_as: call} if self._call_as else {})
                result = await self.function(**given)
            else:
                proxy = _FromThread(call, asyncio.get_running_loop())
                given = arguments | ({self._call_as: proxy} if self._call_as else {})
                result = await in_thread(self.function, **given)
        answer = result if isinstance(result, ToolAnswer) else ToolAnswer(result)
        require_bounded(answer.result)
        return replace(answer, result=jsonable(answer.result), error=sound(str(answer.error)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself, for code and tests that call it directly."""
        if self.function is None:
            raise TypeError(f"{self.name} runs in the client")
        return self.function(*args, **kwargs)


class _FromThread:
    """A call as a plain function is given it: its methods, which belong to the event loop, are called there, soon."""

    def __init__(self, call: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._call, name)
        if not callable(value):
            return value

        def soon(*args: Any, **kwargs: Any) -> None:
            self._loop.call_soon_threadsafe(functools.partial(value, *args, **kwargs))

        return soon


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float = 20,
    ephemeral: bool = False,
    speculative: bool = False,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float = 20,
    ephemeral: bool = False,
    speculative: bool = False,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool. The model is told what type hints and docstring (Google, NumPy or reST style) say.

    A parameter `call`, or one annotated with `Call`, is given the call and not shown to the model.

    Raises:
        TypeError: a parameter has no type hint, or one that JSON cannot express.
    """

    def make(function: Callable[..., Any]) -> Tool:
        documented = docstring_parser.parse(inspect.getdoc(function) or "")
        meanings = {p.arg_name: p.description for p in documented.params}
        told = "\n".join(filter(None, [documented.short_description, documented.long_description]))
        tool_name = name or function.__name__
        try:
            hints = get_type_hints(function, include_extras=True)
        except NameError as e:
            raise TypeError(f"the tool {tool_name} has a type hint that is not known where it is defined: {e}") from e
        make_typed_dict: Any = TypedDict  # mypy knows only literal ones
        fields: dict[str, Any] = {}
        call_as = ""
        for p in inspect.signature(function).parameters.values():
            if p.name == "call" or getattr(hints.get(p.name), "__name__", "") == "Call":
                call_as = p.name
                continue
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD, p.POSITIONAL_ONLY):
                raise TypeError(f"the parameter {p.name} of the tool {tool_name} cannot be given by name")
            if p.name not in hints:
                raise TypeError(f"the parameter {p.name} of the tool {tool_name} has no type hint")
            hint = hints[p.name]
            if meaning := meanings.get(p.name):
                hint = Annotated[hint, Field(description=meaning)]
            fields[p.name] = hint if p.default is p.empty else NotRequired[hint]
        arguments = make_typed_dict("arguments", fields)
        arguments.__pydantic_config__ = ConfigDict(extra="forbid")
        try:
            adapter = TypeAdapter(arguments)
            schema, cut = resolved(adapter.json_schema())
        except Exception as e:
            raise TypeError(f"the tool {tool_name} cannot be described to a model: {e}") from e
        for p in inspect.signature(function).parameters.values():
            if p.name in fields and p.default is not p.empty and p.default is not None:
                schema["properties"][p.name]["default"] = jsonable(p.default)
        parameters, problems = put_right(schema)
        meant = sound(description or told)
        options = (timeout_s, ephemeral, speculative, function, adapter, call_as)
        return Tool(tool_name, meant, parameters, *options, (*cut, *problems))

    return make if function is None else make(function)


def client_tool(
    name: str,
    description: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout_s: float = 20,
    ephemeral: bool = False,
    speculative: bool = False,
) -> Tool:
    """A tool that the client runs: it is sent `tool.called`, and answers with `tool.result`.

    Args:
        parameters: JSON Schema of the arguments, an object.
    """
    given, cut = resolved(parameters) if isinstance(parameters, Mapping) else (parameters, ())
    schema, problems = put_right(given)
    return Tool(name, sound(description), schema, timeout_s, ephemeral, speculative, problems=(*cut, *problems))


@validate_call
def _described(
    name: Annotated[str, Field(pattern=NAME)],
    description: str,
    parameters: dict[str, Any] | None = None,
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 20,
    ephemeral: bool = False,
    speculative: bool = False,
) -> Tool:
    options: dict[str, Any] = {"timeout_s": timeout_s, "ephemeral": ephemeral, "speculative": speculative}
    return client_tool(name, description, parameters, **options)


def as_tool(value: Any) -> Any:
    """A tool of a file, where it is a table and runs in the client; anything else as it is."""
    return _described(**value) if isinstance(value, dict) else value


def remote_tool(
    name: str, description: str, parameters: Mapping[str, Any] | None, function: Callable[..., Any], timeout_s: float
) -> Tool:
    """A tool that another process runs.

    Args:
        parameters: JSON Schema of the arguments, an object.
        function: asks that process; async, takes the call as `_call`, and the arguments by name.
    """
    return replace(client_tool(name, description, parameters, timeout_s=timeout_s), function=function, _call_as="_call")
