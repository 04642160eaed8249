"""What comes in requests' bodies: of the type that is wanted, and valid."""

from __future__ import annotations

from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from media_server.errors import ClientError

__all__ = ["json_body", "require_type", "text_body", "validated"]

M = TypeVar("M", bound=BaseModel)


def require_type(request: web.Request, wanted: str) -> None:
    if request.content_type != wanted:
        raise ClientError("wrong_content_type", f"The body must be {wanted}, not {request.content_type}.", status=415)


async def text_body(request: web.Request) -> str:
    try:
        return await request.text()
    except (ValueError, LookupError) as e:  # some codecs raise a plain UnicodeError
        raise ClientError("bad_encoding", "The body is not valid text in the encoding that it declares.") from e


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
    problems = [{"field": ".".join(map(str, x["loc"])), "problem": x["msg"]} for x in error.errors()]
    if error.errors()[0]["type"] == "json_invalid":
        return ClientError("bad_json", "The body is not valid JSON.", details=problems)
    summary = "; ".join(f"{p['field'] or 'body'}: {p['problem']}" for p in problems)
    return ClientError("bad_request", f"The request is not complete or not valid. {summary}.", details=problems)
