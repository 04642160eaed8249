"""The error tree: what a client did wrong, what an engine could not do, what the operator has to mend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = [
    "MAX_PROBLEMS",
    "ClientError",
    "ConfigurationError",
    "EngineError",
    "EngineLost",
    "EngineSlow",
    "MediaServerError",
    "RequestFailed",
    "each_problem",
    "problems",
    "understood",
]

T = TypeVar("T")
MAX_PROBLEMS = 50
"""Maximum problems of one input that are looked at one by one; the validator takes its time for thousands."""


class MediaServerError(Exception):
    """Everything this package raises on purpose. `code` is snake_case and stable, `message` a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ClientError(MediaServerError):
    """A request that cannot be served as it is; `status` is its HTTP status."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        details: Any = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.details = details
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The wire form, the same for every error of the API."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return {"error": error}


class ConfigurationError(MediaServerError):
    """The operator asked for something that cannot be; the message says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_configuration", message)


class EngineError(MediaServerError):
    """An engine could not do what it was asked.

    Args:
        engine: its kind (`stt`, `llm`, `tts` …), where it is known which one failed.
    """

    def __init__(self, code: str, message: str, engine: str = "") -> None:
        super().__init__(code, message)
        self.engine = engine


class EngineLost(EngineError):
    """The process of an engine ended with the request unanswered. It is being restarted; asking again is right."""

    def __init__(self, name: str, engine: str = "") -> None:
        super().__init__("engine_lost", f"The {name} engine stopped and is being restarted.", engine)


class EngineSlow(EngineError):
    """Nothing came of a turn in time; it was given up."""

    def __init__(self, seconds: float) -> None:
        super().__init__("engine_slow", f"There was no answer within {seconds:g} seconds; the turn was given up.")


class RequestFailed(EngineError):
    """The engine refused or failed at one request; it goes on serving others."""


_SHOULD = re.compile("^(Input|String|Value|Data|Tuple|List|Set|Dictionary|Bytes) should ")
"""The beginning of what pydantic says of most values."""


_FORMS: dict[str, str] = {
    "name": "a name has only letters, digits, - and _, and 64 of them at most",
    "color": "this has to be a colour like #0f766e",
    "host": "this has to be an address to listen on, like 127.0.0.1 or 0.0.0.0",
    "language": "this has to be the code of a language, like en or de",
    "secret": "this has to be a secret like whsec_… (whsec_ and 32 or more characters of base64)",
    "tls": "this has to be auto, or the paths of certificate and key with a comma between: cert.pem,key.pem",
    "traces": "this has to be an address that begins with http:// or https://",
    "url": "this has to be an address that begins with http:// or https://",
}
"""What fields are like that have a form of their own, by the last part of their name."""


def problems(error: ValidationError, known: Iterable[str] = (), within: Iterable[str] = ()) -> str:
    """What does not fit, field by field, in one line.

    Args:
        known: keys with which one that does not exist is compared.
        within: the same for keys of tables within; without any, `known`.
    """
    if (count := error.error_count()) > MAX_PROBLEMS:
        return f"{count} values are wrong"
    fields = ((_field(x), _reason(x, within or known if len(x["loc"]) > 1 else known)) for x in error.errors()[:5])
    return "; ".join(f"{field}: {message}".removeprefix(": ") for field, message in fields)


def each_problem(error: ValidationError) -> list[dict[str, str]]:
    """For each value that does not fit the `field` (empty for the whole) and the `problem`, in plain words."""
    return [{"field": _field(x), "problem": _reason(x, ())} for x in error.errors()]


def _field(problem: ErrorDetails) -> str:
    # the first argument in Python code is the name of what is made
    return "name" if problem["loc"] == (0,) else ".".join(map(str, problem["loc"]))


def _reason(problem: ErrorDetails, known: Iterable[str]) -> str:
    """What is wrong with one field, without the validator's own words."""
    context = problem.get("ctx", {})
    match problem["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            close = difflib.get_close_matches(str(problem["loc"][-1]), list(known), n=1)
            return f"unknown setting{f' (did you mean {close[0]}?)' if close else ''}"
        case "missing" | "missing_argument":
            return "this is missing"
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than" as kind:
            words = {"greater_than_equal": "at least", "greater_than": "more than", "less_than_equal": "at most"}
            return f"this has to be {words.get(kind, 'less than')} {next(iter(context.values())):g}"
        case "int_parsing" | "int_type" | "int_from_float":
            return "this has to be a whole number"
        case "float_parsing" | "float_type":
            return "this has to be a number"
        case "bool_parsing" | "bool_type":
            return "this has to be true or false"
        case "string_type":
            return "this has to be a text"
        case "dict_type" | "model_type" | "model_attributes_type" | "dataclass_type":
            return "this has to be an object"
        case "list_type" | "tuple_type" | "set_type" | "frozen_set_type":
            return "this has to be a list"
        case "path_type":
            return "this has to be a text with a path"
        case "is_instance_of" if context.get("class") == "Tool":
            return "this has to be a tool: a function with @tool above it"
        case "literal_error":
            return f"this has to be {context['expected']}"
        case "string_pattern_mismatch" if form := _FORMS.get(_field(problem).rpartition(".")[2]):
            return form
        case _:
            said = problem["msg"].removeprefix("Value error, ").removesuffix(" or object to extract fields from")
            return _SHOULD.sub("this has to ", said).replace(" after validation", "")


def understood(read: Callable[[Any], T], message: Any, code: str = "bad_message") -> T:
    """A message of a client, as `read` (a method of a pydantic `TypeAdapter`) makes it.

    Raises:
        ClientError: with this code, and a sentence for each field that does not fit.
    """
    from pydantic import ValidationError  # the engines' processes do without

    try:
        return read(message)
    except ValidationError as wrong:
        raise ClientError(code, f"The message was not understood. {problems(wrong)}.") from wrong
