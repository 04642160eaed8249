"""The error tree: what a client did wrong, what an engine could not do, what the operator has to mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = [
    "ClientError",
    "ConfigurationError",
    "EngineError",
    "EngineLost",
    "EngineSlow",
    "MediaServerError",
    "RequestFailed",
    "problems",
    "understood",
]

T = TypeVar("T")


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
    """An engine could not do what it was asked."""


class EngineLost(EngineError):
    """The process of an engine ended with the request unanswered. It is being restarted; asking again is right."""

    def __init__(self, engine: str) -> None:
        super().__init__("engine_lost", f"The {engine} engine stopped and is being restarted.")
        self.engine = engine


class EngineSlow(EngineError):
    """Nothing came of a turn in time; it was given up."""

    def __init__(self, seconds: float) -> None:
        super().__init__("engine_slow", f"There was no answer within {seconds:g} seconds; the turn was given up.")


class RequestFailed(EngineError):
    """The engine refused or failed at one request; it goes on serving others."""


def problems(error: ValidationError) -> str:
    """What does not fit, field by field, in one line."""
    said = {"unexpected_keyword_argument": "there is no such setting"}
    fields = ((".".join(map(str, x["loc"])), said.get(x["type"], x["msg"])) for x in error.errors()[:5])
    return "; ".join(f"{field}: {message}".removeprefix(": ") for field, message in fields)


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
