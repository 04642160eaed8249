"""Turns what a handler raises into the one wire form of errors."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.typedefs import Handler

from media_server.errors import ClientError

__all__ = ["errors_as_json"]

log = logging.getLogger(__name__)

# for what aiohttp refuses by itself
CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
MESSAGES = {
    404: "There is nothing at this address.",
    405: "This address does not serve that method.",
    413: "The body is larger than 64 KiB.",
}


def _response(error: ClientError) -> web.Response:
    return web.json_response(error.body(), status=error.status, headers=error.headers)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: every error leaves as `{"error": {"code", "message", "details"?}}`."""
    try:
        return await handler(request)
    except ClientError as refused:
        return _response(refused)
    except web.HTTPException as e:
        if e.status < 400:
            raise
        code = CODES.get(e.status, "bad_request")
        headers = {"Allow": e.headers["Allow"]} if "Allow" in e.headers else {}
        return _response(ClientError(code, MESSAGES.get(e.status, e.reason), status=e.status, headers=headers))
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _response(ClientError("internal_error", "The server made a mistake; its log has more.", status=500))
