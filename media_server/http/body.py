"""What comes in requests' bodies: of the type that is wanted, and valid."""

from __future__ import annotations

from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from media_server.errors import MAX_PROBLEMS, ClientError, each_problem

__all__ = ["json_body", "require_type", "text_body", "validated"]

M = TypeVar("M", bound=BaseModel)
UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
"""Names of the encoding that bodies have; JSON is always in it (RFC 8259)."""


def require_type(request: web.Request, wanted: str) -> None:
    if request.content_type != wanted:
        message = f"The body must be {wanted}, not {request.content_type}."
        # Accept-Patch and Accept-Post (RFC 5789 section 2.2, RFC 9725 section 4.2)
        headers = {f"Accept-{request.method.capitalize()}": wanted} if request.method in ("PATCH", "POST") else None
        raise ClientError("wrong_content_type", message, status=415, headers=headers)


async def text_body(request: web.Request) -> str:
    """The body as text.

    Raises:
        ClientError: `bad_encoding`.
    """
    if (request.charset or "utf-8").lower() not in UTF_8:
        # Python knows encodings that take seconds, and some that are none
        raise ClientError("bad_encoding", "The body must be UTF-8.")
    try:
        return (await request.read()).decode()
    except UnicodeDecodeError as e:
        raise ClientError("bad_encoding", "The body is not valid UTF-8.") from e


async def json_body(request: web.Request, model: type[M]) -> M:
    """The body as this model.

    Raises:
        ClientError: `wrong_content_type`, `bad_encoding`, `bad_json`, `bad_request` with `details` for each field.
    """
    require_type(request, "application/json")
    text = await text_body(request)
    try:
        return model.model_validate_json(text)
    except ValidationError as e:
        raise _refusal(e) from e


def validated(model: type[M], given: Any) -> M:
    """The parameters of a query as this model.

    Raises:
        ClientError: `bad_request` with `details` for each field.
    """
    try:
        return model.model_validate(given)
    except ValidationError as e:
        raise _refusal(e) from e


def _refusal(error: ValidationError) -> ClientError:
    if (count := error.error_count()) > MAX_PROBLEMS:
        return ClientError("bad_request", f"The request is not valid: {count} of its values are wrong.")
    problems = each_problem(error)
    if error.errors()[0]["type"] == "json_invalid":
        return ClientError("bad_json", "The body is not valid JSON.", details=problems)
    summary = "; ".join(f"{p['field'] or 'body'}: {p['problem']}" for p in problems)
    return ClientError("bad_request", f"The request is not complete or not valid. {summary}.", details=problems)
