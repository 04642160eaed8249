"""Turns what a handler raises into the one wire form of errors."""

from __future__ import annotations

import html
import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError

from media_server.errors import ClientError
from media_server.http.door import DOORS
from media_server.store import reason_of

__all__ = ["errors_as_json", "of_framework"]

log = logging.getLogger(__name__)

# for what aiohttp refuses by itself
CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 417: "unknown_expectation"}
MESSAGES = {
    404: "There is nothing at this address.",
    405: "This address does not serve that method.",
    413: "The body is larger than 64 KiB.",
    417: "The only expectation that is known here is 100-continue.",
}
TITLES = {401: "Not signed in", 403: "Not allowed", 404: "Not found"}
PAGE = """\
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}</title>
  <link rel="icon" href="{root}static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="{root}static/examples/examples.css">
</head>
<body>
  <main>
    <h1>{title}</h1>
    <p>{message}</p>
    <p><a href="{root}">Talk with an agent</a> · <a href="{root}admin">Console</a></p>
  </main>
</body>
</html>
"""


def _response(request: web.Request, error: ClientError) -> web.Response:
    """The error in the form that clients of this address understand."""
    for door in request.app.get(DOORS, ()):
        for beginning, form in door.refusals.items():
            if request.path.startswith(beginning):
                return form(error)
    if request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", ""):
        return _page(request, error)
    return web.json_response(error.body(), status=error.status, headers=error.headers)


def _page(request: web.Request, error: ClientError) -> web.Response:
    """The error for a person who has typed an address, with ways on."""
    # relative, as a proxy may have put a path before it
    root = "../" * (request.rel_url.raw_path.count("/") - 1) or "./"
    title = TITLES.get(error.status, "Not available")
    text = PAGE.format(root=root, title=title, message=html.escape(error.message))
    return web.Response(text=text, status=error.status, content_type="text/html", headers=error.headers)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: every error leaves as `{"error": {"code", "message", "details"?}}`, or in the form of its door."""
    try:
        return await handler(request)
    except ClientError as refused:
        return _response(request, refused)
    except web.HTTPException as e:
        return of_framework(request, e)
    except (web.RequestPayloadError, HttpProcessingError):
        return _response(request, ClientError("bad_body", "The body cannot be read: it does not match its headers."))
    except ConnectionError:
        # the client went away: nobody reads the answer, and nothing is wrong
        log.debug("%s %s: the client went away", request.method, _route(request))
        return _response(request, ClientError("client_gone", "The connection was closed.", status=400))
    except SQLAlchemyError as failed:
        if isinstance(failed, IntegrityError | DataError | ProgrammingError):
            return _mistake(request)
        why = reason_of(failed)
        log.error("%s %s: database unavailable: %s", request.method, _route(request), why)
        return _response(request, ClientError("no_records", "The database cannot be written.", status=503))
    except Exception:  # noqa: BLE001 - one request's defect must not end the others; it is logged
        return _mistake(request)


def of_framework(request: web.Request, e: web.HTTPException) -> web.Response:
    """What aiohttp refuses by itself, in our form. Raises it again where it is no error."""
    if e.status < 400:
        raise e
    code = CODES.get(e.status, "bad_request")
    headers = {"Allow": e.headers["Allow"]} if "Allow" in e.headers else {}
    return _response(request, ClientError(code, MESSAGES.get(e.status, e.reason), status=e.status, headers=headers))


def _mistake(request: web.Request) -> web.Response:
    log.exception("%s %s failed", request.method, _route(request))
    return _response(
        request, ClientError("internal_error", "Internal error. The server's log has the details.", status=500)
    )


def _route(request: web.Request) -> str:
    """The address as the API names it: a request's own may hold secrets, and lines for the log."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "(no such address)"
